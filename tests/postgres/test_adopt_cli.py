"""``db adopt`` on a real database, without the SSH tunnel in between."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.own_server import connect

from changeover.cli import db, db_adopt, db_own
from changeover.cli.desk import Desk
from changeover.cli.output import Output
from changeover.executors.migrate.adoption import proof
from changeover.runner import by_hand, database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.own_server import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

LEASE = 7
TABLE = "CREATE TABLE users (id bigint)"
pytestmark = pytest.mark.postgres


@pytest.fixture
def leases(shop: Shop, release: Release, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the leases that were taken, one entry each."""
    folder = release(
        {
            "expand/001_users.sql": TABLE,
            "contract/001_drop.sql": "DROP TABLE users",
            "contract/001_drop.verify.sql": "SELECT to_regclass('users') IS NULL",
        }
    )
    taken: list[str] = []

    def desk(_env: str, _app: str | None, *, json_lines: bool) -> Desk:
        here: Any = SimpleNamespace(name="shop")
        return Desk(
            root=Path("/"), environment=here, app="shop", output=Output(json_lines=json_lines)
        )

    @contextlib.contextmanager
    def leased(
        _context: object, command: str, about: str, *, hint: str, beyond: int
    ) -> Iterator[object]:
        assert hint == f"changeover db status {about} --env shop tells whether it was adopted"
        taken.append(f"{command} {about} beyond {beyond}")
        yield SimpleNamespace(number=LEASE)

    monkeypatch.setattr(db_own, "status", lambda *_: 0)  # no release here has a migrator of its own
    for verbs in (db, db_adopt):
        monkeypatch.setattr(verbs, "open_desk", desk)
        monkeypatch.setattr(verbs, "context_of", lambda _: SimpleNamespace(declared=None))
        monkeypatch.setattr(verbs, "releases_with_database", lambda *_: ({}, "1.0.0"))
    monkeypatch.setattr(database, "migration_folders", lambda *_: (folder,))
    monkeypatch.setattr(database, "owner_database", lambda *_: contextlib.nullcontext(shop.owner))
    monkeypatch.setattr(database, "fence", lambda run: run.number)
    monkeypatch.setattr(by_hand, "leased", leased)
    with connect(shop.owner) as connection:
        connection.execute(TABLE)
        connection.execute("CREATE TABLE alembic_version AS SELECT 'a1' AS version_num")
    return taken


def test_what_was_adopted_is_told_to_a_person(
    shop: Shop, leases: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    db_adopt.adopt("1.0.0", trust=["1.0.0/expand/001_users"])

    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "Alembic recorded in public.alembic_version: a1",
        "1.0.0/expand/001_users (on trust)",
        "1.0.0/contract/001_drop (pending)",
    ]
    assert "1 migration adopted as 1.0.0, 1 taken on trust, 1 left to finalize" in told.err
    assert leases == ["db adopt 1.0.0 beyond 0"]
    assert shop.value("SELECT fence FROM changeover.baseline") == LEASE


def test_status_tells_where_the_ledger_began(
    shop: Shop, leases: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    db.status("1.0.0")
    assert "adopted" not in capsys.readouterr().out
    db_adopt.adopt("1.0.0", trust=["1.0.0/expand/001_users"])
    capsys.readouterr()

    db.status("1.0.0")

    told = capsys.readouterr()
    first, *states = told.out.splitlines()
    assert first.startswith("adopted as 1.0.0 at 20")
    assert first.endswith(", on trust: 1.0.0/expand/001_users")
    assert [line.split()[0] for line in states] == ["applied", "pending"]
    assert told.err == "Alembic recorded in public.alembic_version: a1\n"
    db.status("1.0.0", json=True)
    baseline = json.loads(capsys.readouterr().out.splitlines()[1])
    assert (baseline["type"], baseline["recorded"][0]["tool"]) == ("baseline", "Alembic")
    assert shop.value("SELECT count(*) FROM changeover.baseline") == len(leases)


def test_json_lines_carry_the_same(
    shop: Shop, leases: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    db_adopt.adopt("1.0.1", trust=["1.0.0/expand/001_users"], json=True)

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()][1:]
    assert [event["type"] for event in events] == ["recorded", "migration", "migration"]
    assert (events[0]["tool"], events[0]["applied"]) == ("Alembic", ["a1"])
    assert [(event["state"], event["trusted"]) for event in events[1:]] == [
        ("applied", True),
        ("pending", False),
    ]
    assert leases == ["db adopt 1.0.1 beyond 0"]
    assert shop.value("SELECT release FROM changeover.baseline") == "1.0.1"


def test_what_is_refused_is_refused_before_a_lease_is_taken(shop: Shop, leases: list[str]) -> None:
    with pytest.raises(proof.BaselineUnproved):
        db_adopt.adopt("1.0.0")

    assert leases == []
    assert shop.value("SELECT to_regnamespace('changeover') IS NULL") is True


def test_it_is_one_of_the_verbs() -> None:
    assert db_adopt.adopt in {command.callback for command in db.app.registered_commands}
