"""What a rehearsal sees of a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.postgres.gate import GATE, OPEN

from changeover.executors import migrate
from changeover.migrations.records import LockMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover.executors.migrate import Observed
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

USERS = """
CREATE TABLE users (id bigint PRIMARY KEY, score int, name text);
INSERT INTO users SELECT n, n, 'user ' || n FROM generate_series(1, 2000) n
"""


def observed(shop: Shop, folder: MigrationFolder) -> list[Observed]:
    observer = migrate.Observer()
    migrate.apply(shop.owner, folder, observer=observer, report=observer.timed)
    return list(observer.seen)


def test_locks_rewrites_and_times_are_seen_statement_by_statement(
    shop: Shop, release: Release
) -> None:
    with psycopg.connect(**dict(shop.owner.parameters())) as connection:  # type: ignore[arg-type]
        connection.execute(USERS.encode())
    folder = release(
        {
            "expand/001_note.sql": "ALTER TABLE users ADD COLUMN note text;\n"
            "ALTER TABLE users ALTER COLUMN score TYPE bigint;\n"
            "SELECT pg_sleep(0.05);\n"
            "CREATE TABLE notes (id bigint)",
            "expand/002_names.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name)",
        }
    )

    note, score, sleep, notes, index = observed(shop, folder)

    assert [(each.number, each.of) for each in (note, score, sleep, notes, index)] == [
        (1, 4),
        (2, 4),
        (3, 4),
        (4, 4),
        (1, 1),
    ]
    assert [(lock.table, lock.mode) for lock in note.locks] == [
        ("users", LockMode.ACCESS_EXCLUSIVE)
    ]
    assert note.locks[0].size_bytes > 100_000
    assert note.rewritten == ()
    assert (score.locks, score.rewritten) == ((), ("users",))
    assert [lock.table for lock in notes.locks] == ["notes"]
    assert sleep.milliseconds >= 50
    assert note.milliseconds < note.held_milliseconds
    assert note.held_milliseconds > score.held_milliseconds > sleep.milliseconds
    assert notes.held_milliseconds < note.held_milliseconds
    assert (index.kind, index.how) == ("CREATE INDEX CONCURRENTLY", "alone")
    assert index.held_milliseconds > 0


def test_what_data_checks_lock_counts_as_the_first_statements(shop: Shop, release: Release) -> None:
    with psycopg.connect(**dict(shop.owner.parameters())) as connection:  # type: ignore[arg-type]
        connection.execute(USERS.encode())
    folder = release(
        {
            "expand/001_more.sql": "CREATE TABLE more (id int);\nCREATE TABLE still_more (id int)",
            "expand/001_more.checks.yml": "rows: {users: 0}\n",
        }
    )

    more, still_more = observed(shop, folder)

    assert [(lock.table, lock.mode) for lock in more.locks] == [
        ("more", LockMode.ACCESS_EXCLUSIVE),
        ("users", LockMode.SHARE_ROW_EXCLUSIVE),
    ]
    assert [lock.table for lock in still_more.locks] == ["still_more"]


class Opening(migrate.Observer):
    """Opens the gate once it has seen what waits there."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.shop = shop

    def glance(self, beside: psycopg.Connection[tuple[object, ...]], process: int) -> None:
        super().glance(beside, process)
        if self._alone is not None and self._alone.locks:
            self.shop.rows(OPEN)


def test_a_concurrent_build_and_batches_are_watched_as_well(shop: Shop, release: Release) -> None:
    with psycopg.connect(**dict(shop.owner.parameters())) as connection:  # type: ignore[arg-type]
        connection.execute(USERS.encode())
        connection.execute(GATE.encode())
        connection.execute(
            b"CREATE FUNCTION held(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS"
            b" $$ BEGIN PERFORM pass(); RETURN $1; END $$"
        )
    folder = release(
        {
            "expand/001_held.sql": "CREATE INDEX CONCURRENTLY users_held ON users (held(id))",
            "backfill/001_name.sql": "-- changeover: batch table=users key=id size=500\n"
            "UPDATE users SET name = 'n' WHERE id BETWEEN $1 AND $2",
        }
    )
    observer = Opening(shop)

    migrate.apply(shop.owner, folder, observer=observer, report=observer.timed)

    index, batches = observer.seen
    assert [(lock.table, lock.mode) for lock in index.locks] == [
        ("users", LockMode.SHARE_UPDATE_EXCLUSIVE)
    ]
    assert [(lock.table, lock.mode) for lock in batches.locks] == [
        ("users", LockMode.ROW_EXCLUSIVE)
    ]
    assert (index.how, batches.how) == ("alone", "batches")
    assert 0 < batches.held_milliseconds < batches.milliseconds


def test_what_is_locked_is_held_while_the_result_is_checked(shop: Shop, release: Release) -> None:
    with psycopg.connect(**dict(shop.owner.parameters())) as connection:  # type: ignore[arg-type]
        connection.execute(USERS.encode())
    folder = release(
        {
            "expand/001_note.sql": "ALTER TABLE users ADD COLUMN note text",
            "expand/001_note.verify.sql": "SELECT pg_sleep(0.2) IS NOT NULL",
        }
    )

    (note,) = observed(shop, folder)

    assert note.held_milliseconds >= note.milliseconds + 200


def test_undoing_is_observed_as_well_and_told_apart(shop: Shop, release: Release) -> None:
    with psycopg.connect(**dict(shop.owner.parameters())) as connection:  # type: ignore[arg-type]
        connection.execute(USERS.encode())
    folder = release(
        {
            "expand/001_note.sql": "ALTER TABLE users ADD COLUMN note text",
            "expand/001_note.revert.sql": "SELECT 1;\nALTER TABLE users DROP COLUMN note;\n"
            "DROP INDEX CONCURRENTLY IF EXISTS no_such_index",
        }
    )
    observer = migrate.Observer()
    limits: Any = {"observer": observer, "report": observer.timed}

    migrate.apply(shop.owner, folder, **limits)
    migrate.revert(shop.owner, folder, **limits)

    assert [(each.direction, each.number, each.of, each.how) for each in observer.seen] == [
        ("apply", 1, 1, "together"),
        ("revert", 1, 3, "together"),
        ("revert", 2, 3, "together"),
        ("revert", 3, 3, "alone"),
    ]
    assert [lock.table for lock in observer.seen[2].locks] == ["users"]
