"""What came on top of a migration that is undone goes with it, whatever its phase and its release."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.executors import migrate
from changeover.runner import database, physical, safety
from changeover.steps import Undo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.own_server import Shop

    from changeover.database import Database
    from changeover.migrations.records import MigrationFolder

pytestmark = pytest.mark.postgres

OLD = {
    "expand/001_users.sql": "CREATE TABLE users (id int, name text, old text)",
    "contract/001_old.sql": "ALTER TABLE users DROP COLUMN old",
    "contract/001_old.revert.sql": "ALTER TABLE users ADD COLUMN old text",
}
NEW = {
    "expand/001_name.sql": "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
    "expand/001_name.revert.sql": "ALTER TABLE users ALTER COLUMN name DROP NOT NULL",
    "backfill/001_nobody.sql": "INSERT INTO users VALUES (0, 'nobody')",
    "backfill/001_nobody.revert.sql": "DELETE FROM users WHERE id = 0",
}
UNDONE = ("2.0.0/expand/001_name", "2.0.0/backfill/001_nobody", "1.0.0/contract/001_old")


def test_an_older_release_that_came_on_top_is_undone_first(
    shop: Shop, release: Callable[..., MigrationFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = release(OLD, "1.0.0"), release(NEW, "2.0.0")
    migrate.apply(shop.owner, old, phases=("expand",))
    migrate.apply(shop.owner, new)
    migrate.apply(shop.owner, old, phases=("contract",))

    @contextlib.contextmanager
    def owner(*_: object) -> Iterator[Database]:
        yield shop.owner

    monkeypatch.setattr(safety, "load_releases", lambda *_: {})
    monkeypatch.setattr(physical, "mark", lambda *_: "")
    monkeypatch.setattr(database, "migration_folders", lambda *_: (old, new))
    monkeypatch.setattr(database, "owner_database", owner)
    monkeypatch.setattr(database, "fence", lambda _: None)
    run: Any = SimpleNamespace(
        root=Path("/"), environment=None, app=SimpleNamespace(app="shop"), report=lambda _: None
    )

    safety.undo(run, Undo(id="undo", version="2.0.0", migrations=UNDONE))

    standing = [row.id for row in migrate.standing(shop.owner)]
    assert standing == ["1.0.0/expand/001_users"]
