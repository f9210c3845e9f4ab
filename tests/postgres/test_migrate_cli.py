"""The ``db`` verbs on a real database, without the SSH tunnel in between."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.cli import db, db_own
from changeover.cli.desk import Desk
from changeover.cli.output import Output
from changeover.errors import InvalidInput
from changeover.executors import migrate
from changeover.executors.migrate import failures, patience
from changeover.runner import by_hand, database
from changeover.runner.rehearse import beforehand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.conftest import Shop

    from changeover.database import Database
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

LEASE = 7
pytestmark = pytest.mark.postgres

FILES = {
    "expand/001_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY)",
    "expand/001_users.checks.yml": "rows: {users: 0}\nsequences: all",
    "expand/002_index.sql": "ALTER TABLE users ADD COLUMN name text;\n"
    "CREATE INDEX CONCURRENTLY users_name ON users (name)",
    "contract/001_drop.sql": "DROP TABLE users",
}


@pytest.fixture
def folder(shop: Shop, release: Release, monkeypatch: pytest.MonkeyPatch) -> MigrationFolder:
    loaded = release(FILES)

    def folders(_desk: Desk, _version: str | None) -> Iterator[tuple[Database, MigrationFolder]]:
        yield shop.owner, loaded

    def desk(_env: str, _app: str | None, *, json_lines: bool) -> Desk:
        here: Any = SimpleNamespace(name="shop")
        return Desk(
            root=Path("/"), environment=here, app="shop", output=Output(json_lines=json_lines)
        )

    @contextlib.contextmanager
    def leased(
        _context: object, command: str, about: str, *, hint: str, beyond: int
    ) -> Iterator[object]:
        assert (command, about) == ("db migrate", "1.0.0")
        assert hint == "changeover db migrate 1.0.0 --env shop goes on"
        nowhere = SimpleNamespace(repository_host=None)
        yield SimpleNamespace(
            number=LEASE, beyond=beyond, environment=nowhere, step=lambda _, act: act()
        )

    monkeypatch.setattr(db, "_folders", folders)
    monkeypatch.setattr(db, "releases_with_database", lambda *_: {})
    for told in ("plan", "status", "refuse"):  # no release here has a migrator of its own
        monkeypatch.setattr(db_own, told, lambda *_: 0)
    monkeypatch.setattr(beforehand, "steps_before", lambda *_: None)
    monkeypatch.setattr(db, "open_desk", desk)
    monkeypatch.setattr(by_hand, "leased", leased)
    monkeypatch.setattr(database, "fence", lambda run: run.number)
    return loaded


@pytest.mark.usefixtures("folder")
def test_plan_migrate_and_status_tell_one_story(capsys: pytest.CaptureFixture[str]) -> None:
    db.plan("1.0.0")
    planned = capsys.readouterr()
    assert "1.0.0/expand/002_index:2  CREATE INDEX CONCURRENTLY (alone" in planned.out
    assert "SHARE UPDATE EXCLUSIVE on users (does not exist yet)" in planned.out
    waits = "; nobody else writes to users meanwhile"
    assert f"1.0.0/expand/001_users  to check: rows users: 0{waits}\n" in planned.out
    assert "1.0.0/expand/001_users  to check: sequences all\n" in planned.out
    assert "4 statements to run, 2 data checks to hold" in planned.err

    db.migrate_("1.0.0")
    ran = capsys.readouterr()
    assert ran.out.split() == ["1.0.0/expand/001_users", "1.0.0/expand/002_index"]
    assert "1.0.0/expand/002_index 2/2 CREATE INDEX CONCURRENTLY executed in" in ran.err
    assert "1.0.0/expand/001_users rows users: 0: no table before, 0 after, +0" in ran.err
    db.migrate_("1.0.0")
    assert "nothing to do" in capsys.readouterr().err

    db.status(None)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in told] == [
        ["applied", "1/1", "1.0.0/expand/001_users"],
        ["applied", "2/2", "1.0.0/expand/002_index"],
        ["pending", "0/1", "1.0.0/contract/001_drop"],
    ]


@pytest.mark.usefixtures("folder")
def test_json_lines_carry_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    db.migrate_("1.0.0", phase=["expand"], json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["type"] == "version"
    assert [event["id"] for event in events if event.get("state") == "applied"] == [
        "1.0.0/expand/001_users",
        "1.0.0/expand/002_index",
    ]
    assert {event["how"] for event in events if event["type"] == "statement"} == {"executed"}

    db.plan("1.0.0", phase=["expand"], json=True)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("folder")
def test_a_backfill_that_cannot_run_is_named_by_the_plan(
    shop: Shop,
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop.rows("CREATE TABLE orders (id bigint)")
    batch = "-- changeover: batch table=orders key=id\nUPDATE orders SET id = id"
    loaded = release({"backfill/001_orders.sql": f"{batch} WHERE id BETWEEN $1 AND $2"})
    monkeypatch.setattr(db, "_folders", lambda *_: [(shop.owner, loaded)])

    with pytest.raises(InvalidInput, match=r"001_orders\.sql cannot walk by orders\.id") as caught:
        db.plan("1.0.0")

    assert (caught.value.exit_code, capsys.readouterr().out) == (2, "")


@pytest.mark.usefixtures("folder")
def test_contract_is_never_run_by_hand_and_the_way_to_run_it_is_named(shop: Shop) -> None:
    db.migrate_("1.0.0")

    with pytest.raises(InvalidInput, match="end the bake window") as caught:
        db.migrate_("1.0.0", phase=["contract"], env="shop")

    assert caught.value.exit_code == 2
    assert caught.value.hint.startswith("changeover finalize --env shop ")
    assert shop.value("SELECT to_regclass('users')::text") == "users"


def test_a_run_by_hand_writes_only_while_its_lease_is_the_newest(
    shop: Shop, folder: MigrationFolder
) -> None:
    migrate.apply(shop.owner, folder, phases=("expand",), fence=LEASE + 1)

    with pytest.raises(failures.RunnerFenced):
        db.migrate_("1.0.0")


@pytest.mark.usefixtures("folder")
def test_a_run_by_hand_is_held_to_what_the_last_rehearsal_of_the_same_took(
    shop: Shop,
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(patience, "LEAST_MILLISECONDS", 200.0)
    loaded = release({"expand/001_slow.sql": "SELECT 1;\nSELECT pg_sleep(5)"}, "1.1.0")
    monkeypatch.setattr(db, "_folders", lambda *_: [(shop.owner, loaded)])
    (slow,) = loaded.migrations
    measured = migrate.Measured(
        migration=slow.id,
        number=2,
        digest=slow.statements[1].digest,
        milliseconds=3.0,
        held_milliseconds=3.0,
        locks=(),
        rewritten=(),
        deployment="one",
    )
    migrate.remember(shop.owner, [], [measured])

    with pytest.raises(failures.SlowerThanRehearsed):
        db.migrate_("1.0.0")

    assert f"1 statement of {slow.id} never ran in a rehearsal" in capsys.readouterr().err


def test_a_database_host_that_counts_anew_is_told_the_ledgers_number(
    shop: Shop, folder: MigrationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrate.fence(shop.owner) == 0
    migrate.apply(shop.owner, folder, phases=("expand",), fence=57)
    monkeypatch.setattr(database, "fence", lambda run: run.beyond + 1)

    db.migrate_("1.0.0")

    assert migrate.fence(shop.owner) == 58


@pytest.mark.usefixtures("folder")
def test_an_unknown_phase_is_a_usage_error() -> None:
    with pytest.raises(InvalidInput, match="no phase is called later"):
        db.migrate_("1.0.0", phase=["later"])
