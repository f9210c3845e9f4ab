"""The ``db`` verbs on a real database, without the SSH tunnel in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from changeover.cli import db
from changeover.cli.desk import Desk
from changeover.cli.output import Output
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.conftest import Shop

    from changeover.database import Database
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

FILES = {
    "expand/001_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY)",
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
        nowhere: Any = None
        return Desk(
            root=Path("/"), environment=nowhere, app="shop", output=Output(json_lines=json_lines)
        )

    monkeypatch.setattr(db, "_folders", folders)
    monkeypatch.setattr(db, "open_desk", desk)
    return loaded


@pytest.mark.usefixtures("folder")
def test_plan_migrate_and_status_tell_one_story(capsys: pytest.CaptureFixture[str]) -> None:
    db.plan("1.0.0")
    planned = capsys.readouterr()
    assert "1.0.0/expand/002_index:2  CREATE INDEX CONCURRENTLY (alone" in planned.out
    assert "SHARE UPDATE EXCLUSIVE on users (does not exist yet)" in planned.out
    assert "4 statements to run" in planned.err

    db.migrate_("1.0.0")
    ran = capsys.readouterr()
    assert ran.out.split() == ["1.0.0/expand/001_users", "1.0.0/expand/002_index"]
    assert "1.0.0/expand/002_index 2/2 CREATE INDEX CONCURRENTLY executed in" in ran.err
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
    db.migrate_("1.0.0", phase=["expand", "contract"], json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["type"] == "version"
    assert [event["id"] for event in events if event.get("state") == "applied"] == [
        "1.0.0/expand/001_users",
        "1.0.0/expand/002_index",
        "1.0.0/contract/001_drop",
    ]
    assert {event["how"] for event in events if event["type"] == "statement"} == {"executed"}

    db.plan("1.0.0", json=True)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("folder")
def test_an_unknown_phase_is_a_usage_error() -> None:
    with pytest.raises(InvalidInput, match="no phase is called later"):
        db.migrate_("1.0.0", phase=["later"])
