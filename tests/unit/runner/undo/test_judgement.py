"""The way back as `plan`, `rollback` and `status` judge it: by what stands, and what a rehearsal proved of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.runner.machine import MOMENT

from changeover.executors import migrate
from changeover.executors.migrate import Rehearsals, Undo
from changeover.migrations.folder import load
from changeover.runner.deployment import forecast
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.migrations.records import Migration
    from changeover.verdict import Verdict

RENAME = "ALTER TABLE users RENAME TO people"
FILES = {
    "expand/001_a.sql": RENAME,
    "expand/001_a.revert.sql": "ALTER TABLE people RENAME TO users",
    "expand/002_b.sql": "ALTER TABLE people ADD COLUMN age int",
    "expand/002_b.revert.sql": "ALTER TABLE people DROP COLUMN age",
    "backfill/001_c.sql": "DELETE FROM people WHERE id < 9",
}


def write(desk: Desk, names: Iterable[str]) -> tuple[Migration, ...]:
    """Give 3.0.0 these migrations."""
    folder = desk.project.root / "apps" / "hello" / "releases" / "3.0.0" / "migrations"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(FILES[name])
    return load(folder, "3.0.0").migrations


def proved(migrations: Iterable[Migration], patch: pytest.MonkeyPatch) -> None:
    """Have a rehearsal have undone all of them without a loss."""
    undone = {
        each.id: Undo(
            subject=each.id, digest=each.undo_digest, lossless=True, because="", deployment="d"
        )
        for each in migrations
    }
    known = Rehearsals(undone=undone, measured={}, now=MOMENT)
    patch.setattr(migrate, "recall", lambda _: known)


def standing(desk: Desk) -> Verdict | None:
    context = desk.context
    found = undoing.way_back(
        context.environment, context.declared, context.releases, "2.0.0", "3.0.0"
    )
    return found.verdict if found else None


def planned(desk: Desk, before: str | None, patch: pytest.MonkeyPatch) -> Verdict:
    """Return the way back of a plan for 3.0.0 that finds nothing pending."""
    run, context = desk.run(), desk.context
    run.release = context.release("3.0.0")
    patch.setattr(migrate, "foresee", lambda *_: None)
    patch.setattr(migrate, "full", lambda _: False)
    due = forecast._due(run, context.releases, None, before)  # noqa: SLF001 - no build is needed to judge
    return due.verdict(first=before is None)


def test_what_came_on_top_is_undone_too_and_by_one_judgement(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = write(desk, list(FILES)[:4])
    proved(migrations, monkeypatch)
    machines.contracted = [each.id for each in migrations]

    found = standing(desk)

    assert found is not None
    assert found.kind == "restore"
    assert found.because.startswith("3.0.0/expand/002_b (its revert has DROP COLUMN: rows written")
    assert planned(desk, "2.0.0", monkeypatch) == found
    machines.contracted = machines.contracted[:1]
    found = standing(desk)
    assert found is not None
    assert found.kind == "revert"


def test_a_plan_that_finds_nothing_pending_judges_what_an_attempt_before_left(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = write(desk, list(FILES)[:1])
    machines.contracted = [each.id for each in migrations]

    assert planned(desk, "2.0.0", monkeypatch).kind == "restore"
    assert planned(desk, "3.0.0", monkeypatch).kind == "instant"
    assert planned(desk, None, monkeypatch).kind == "refused"


def test_what_is_taken_is_told_and_keeps_no_rename_back(desk: Desk, machines: Machines) -> None:
    migrations = write(desk, list(FILES)[4:])
    machines.contracted = [each.id for each in migrations]
    context = desk.context

    found = standing(desk)

    assert found is not None
    assert found.because.startswith("3.0.0/backfill/001_c has DELETE: what that takes away")
    blocked = undoing.in_the_way(
        context.environment, context.declared, context.releases, "2.0.0", "3.0.0"
    )
    assert blocked is None
