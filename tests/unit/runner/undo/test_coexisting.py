"""What the old version was seen to write beside, as `plan`, `rollback` and `status` judge it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.machine import MOMENT

from changeover import verdict
from changeover.executors import migrate
from changeover.executors.migrate import Coexisting, Rehearsals
from changeover.migrations import coexist_file
from changeover.migrations.folder import load
from changeover.runner.deployment import forecast
from changeover.runner.rehearse import old_version
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.migrations.records import MigrationFolder

ISOLATION = "expand/001_a.sql"
FILES = {
    ISOLATION: "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "expand/001_a.revert.sql": "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
    "expand/001_a.coexist.sql": "INSERT INTO users (id) VALUES (1);\nSELECT 1",
    "expand/002_b.sql": "CREATE TABLE notes (id int)",
}
NAME = "3.0.0/expand/001_a"


def written(folder: Path, files: dict[str, str], version: str = "3.0.0") -> MigrationFolder:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return load(folder, version)


def proved(*folders: MigrationFolder, works: bool = True) -> Rehearsals:
    """Return what a rehearsal leaves that ran what the old version runs, an hour ago."""
    found = {
        name: Coexisting(
            migration=name,
            digest=digest,
            works=works,
            role="hello_app",
            statements=2,
            deployment="d",
            at=MOMENT,
        )
        for name, digest in coexist_file.digests(folders).items()
    }
    now = MOMENT + dt.timedelta(hours=1)
    return Rehearsals(undone={}, measured={}, now=now, coexisting=found)


def judged(known: Rehearsals, *folders: MigrationFolder) -> verdict.Verdict:
    due = [each for folder in folders for each in folder.migrations]
    between = {folder.release for folder in folders}
    return verdict.judge(undoing.ahead([], due, folders, known, between))


def test_what_was_tried_is_no_longer_in_the_way_and_the_verdict_says_by_what(
    tmp_path: Path,
) -> None:
    folder = written(tmp_path, FILES)

    found = judged(proved(folder), folder)

    assert found == verdict.Verdict(
        kind="instant",
        because="2 migrations only add: the old code runs on the new schema, one rename goes back;"
        f" a rehearsal ran what it writes beside {NAME} (001_a.coexist.sql as hello_app)",
    )
    nothing = Rehearsals(undone={}, measured={}, now=MOMENT)
    for known in (nothing, proved(folder, works=False)):
        assert judged(known, folder).kind == "restore"


def test_what_no_rehearsal_showed_yet_may_make_the_way_back_one_rename(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", FILES)
    more = {"contract/001_c.sql": "DROP TABLE notes"}
    hope = (
        f"; no rehearsal showed yet that the old version writes beside {NAME}: where it does, as each"
        " deployment tries before users move, one rename goes back"
    )
    nothing = Rehearsals(undone={}, measured={}, now=MOMENT)

    assert judged(nothing, folder).because.endswith(hope)
    told = [
        "no rehearsal showed yet" in judged(known, each).because
        for known, each in (
            (nothing, folder),
            (proved(folder, works=False), folder),
            (proved(folder), folder),
            (nothing, written(tmp_path / "b", FILES | more)),
        )
    ]

    assert told == [True, True, False, False]


@pytest.mark.parametrize(
    "edited",
    [
        {ISOLATION: "ALTER TABLE users FORCE ROW LEVEL SECURITY"},
        {"expand/001_a.coexist.sql": "INSERT INTO users (id) VALUES (2);\nSELECT 1"},
        {"expand/002_b.sql": "CREATE TABLE notes (id bigint)"},
        {"backfill/001_c.sql": "UPDATE notes SET id = 1 WHERE id IS NULL"},
    ],
)
def test_another_content_of_the_release_was_not_tried(
    tmp_path: Path, edited: dict[str, str]
) -> None:
    known = proved(written(tmp_path, FILES))

    assert judged(known, written(tmp_path, edited)).kind == "restore"


@pytest.mark.parametrize(
    "edited",
    [
        {"contract/001_c.sql": "DROP TABLE notes"},
        {"expand/001_a.checks.yml": "rows:\n  users: 0\n"},
        {"expand/001_a.revert.sql": "ALTER TABLE users NO FORCE ROW LEVEL SECURITY"},
    ],
)
def test_what_the_old_version_does_not_meet_leaves_the_proof(
    tmp_path: Path, edited: dict[str, str]
) -> None:
    known = proved(written(tmp_path, FILES))
    folder = written(tmp_path, edited)
    before = [each for each in folder.migrations if each.phase != "contract"]

    assert judged(known, dataclasses.replace(folder, migrations=tuple(before))).kind == "instant"


@pytest.mark.parametrize(
    "files",
    [
        {ISOLATION: f"{FILES[ISOLATION]};\nALTER TABLE users RENAME COLUMN a TO b"},
        {ISOLATION: f"{FILES[ISOLATION]};\nALTER TABLE orders ADD CHECK (a > 0) NOT VALID"},
    ],
)
def test_what_was_not_tried_is_in_the_way_as_before(tmp_path: Path, files: dict[str, str]) -> None:
    folder = written(tmp_path, FILES | files)

    assert judged(proved(folder), folder).kind == "restore"


def test_what_was_tried_beside_a_release_says_nothing_of_a_version_further_back(
    tmp_path: Path,
) -> None:
    older = written(tmp_path / "2", {"expand/001_x.sql": "CREATE TABLE x (id int)"}, "2.5.0")
    newer = written(tmp_path / "3", FILES)
    known = proved(older, newer)

    assert judged(known, newer).kind == "instant"
    assert judged(known, older, newer).kind == "restore"
    migrations = (*older.migrations, *newer.migrations)
    assert verdict.judge(undoing.facts(migrations, [older, newer], known)).kind == "restore"


def test_a_live_version_goes_back_by_a_rename_where_it_was_tried(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = desk.project.root / "apps" / "hello" / "releases" / "3.0.0" / "migrations"
    folder = written(place, FILES)
    machines.contracted = [each.id for each in folder.migrations]
    context = desk.context
    asked = (context.environment, context.declared, context.releases, "2.0.0", "3.0.0")

    assert undoing.in_the_way(*asked) is not None
    monkeypatch.setattr(migrate, "recall", lambda _: proved(folder))

    assert undoing.in_the_way(*asked) is None
    assert undoing.way_back(*asked) is None


def test_a_plan_tells_what_was_tried_and_how_long_ago(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = desk.project.root / "apps" / "hello" / "releases" / "3.0.0" / "migrations"
    folder = written(place, FILES)
    run, context = desk.run(), desk.context
    run.release = context.release("3.0.0")
    monkeypatch.setattr(migrate, "pending", lambda _, each, phases: each.of(phases))
    monkeypatch.setattr(migrate, "preview", lambda *_: ())
    for name in ("foresee", "full"):
        monkeypatch.setattr(migrate, name, lambda *_: None)

    def planned() -> tuple[str, ...]:
        due = forecast._due(run, context.releases, None, "2.0.0")  # noqa: SLF001 - no build is needed to judge
        return due.beside

    assert planned() == (f"{NAME}  2 statements of the old version, not tried in a rehearsal yet",)
    monkeypatch.setattr(migrate, "recall", lambda _: proved(folder))
    assert planned() == (
        f"{NAME}  2 statements of the old version worked beside it as hello_app, 1 h ago",
    )
    assert old_version.told([], [folder], proved(folder)) == ()
