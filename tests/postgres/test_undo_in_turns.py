"""What came on top of a migration that is undone goes with it, whatever its phase and its release."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.executors import migrate
from changeover.executors.migrate import failures, patience
from changeover.runner import database
from changeover.runner.deployment import safety
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
SLOW = """
    CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(5); RETURN OLD; END $$;
    CREATE TRIGGER slowly BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION slowly()
"""
UNDONE = ("2.0.0/expand/001_name", "2.0.0/backfill/001_nobody", "1.0.0/contract/001_old")


@pytest.fixture
def undoing(
    shop: Shop, release: Callable[..., MigrationFolder], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Return what undoes, as a rollback does, migrations of two releases that ran in turns."""
    old, new = release(OLD, "1.0.0"), release(NEW, "2.0.0")
    migrate.apply(shop.owner, old, phases=("expand",))
    migrate.apply(shop.owner, new)
    migrate.apply(shop.owner, old, phases=("contract",))

    @contextlib.contextmanager
    def owner(*_: object) -> Iterator[Database]:
        yield shop.owner

    monkeypatch.setattr(safety, "load_releases", lambda *_: {})
    monkeypatch.setattr(database, "folders_of", lambda *_: (old, new))
    monkeypatch.setattr(database, "owner_database", owner)
    monkeypatch.setattr(database, "fence", lambda _: None)
    run: Any = SimpleNamespace(
        root=Path("/"),
        environment=SimpleNamespace(repository_host=None),
        app=SimpleNamespace(app="shop"),
        report=lambda _: None,
    )

    def undo() -> None:
        safety.undo(run, Undo(id="undo", version="2.0.0", migrations=UNDONE))

    return undo


def test_an_older_release_that_came_on_top_is_undone_first_and_in_one_turn(
    shop: Shop, undoing: Callable[[], None]
) -> None:
    undoing()

    standing = [row.id for row in migrate.standing(shop.owner)]
    assert standing == ["1.0.0/expand/001_users"]
    # One turn has one deadline, and writes as one runner.
    runners = "SELECT count(DISTINCT runner) FROM changeover.migration WHERE state = 'reverted'"
    assert shop.value(runners) == 1


def test_undoing_is_held_to_what_undoing_took_in_the_rehearsal(
    shop: Shop, undoing: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LEAST_MILLISECONDS", 200.0)
    digest = hashlib.sha256(NEW["backfill/001_nobody.revert.sql"].encode()).hexdigest()
    measured = migrate.Measured(
        migration=UNDONE[1],
        direction="revert",
        number=1,
        digest=digest,
        milliseconds=1.0,
        held_milliseconds=1.0,
        locks=(),
        rewritten=(),
        deployment="one",
    )
    migrate.remember(shop.owner, [], [measured])
    shop.rows(SLOW)

    with pytest.raises(failures.SlowerThanRehearsed) as caught:
        undoing()

    assert f"nothing of {UNDONE[1]} is undone; {UNDONE[2]} was before" in caught.value.message
    assert [row.id for row in migrate.standing(shop.owner)][1:] == list(UNDONE[:2])
