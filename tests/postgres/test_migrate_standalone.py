"""Statements that no transaction can hold: concurrent indexes above all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop
    from tests.postgres.moments import Clock

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

TABLE = "CREATE TABLE users (id bigint PRIMARY KEY, email varchar(80), at timestamptz);"
ROWS = "INSERT INTO users SELECT n, n || '@example.org', now() FROM generate_series(1, 2000) AS n;"
INDEX = "CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (lower(email)) WHERE id > 0;"
INVALID = """CREATE INDEX {0} ON users (email);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{0}'::regclass"""
FILE = f"{INDEX}\nALTER TABLE users ADD COLUMN name text;"


def naive(shop: Shop, statement: str) -> None:
    """Run SQL as one query on an autocommit session of the owner."""
    with psycopg.connect(**shop.owner.parameters(), autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(statement.encode())


def valid(shop: Shop, index: str = "users_email") -> bool | None:
    found = shop.rows(
        f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{index}')"  # noqa: S608
    )
    return found[0][0] if found else None


@pytest.fixture
def users(shop: Shop, release: Release) -> Shop:
    migrate.apply(shop.owner, release({"expand/001_users.sql": TABLE + ROWS}))
    return shop


def test_t7_a_concurrent_index_beside_other_statements(users: Shop, release: Release) -> None:
    with pytest.raises(psycopg.errors.ActiveSqlTransaction):
        naive(users, FILE)

    folder = release({"expand/002_index.sql": FILE})
    events: list[dict[str, object]] = []
    migrate.apply(users.owner, folder, report=events.append)

    assert valid(users) is True
    assert users.value("SELECT count(name) FROM users") == 0
    assert [(event["kind"], event["how"]) for event in events if event["type"] == "statement"] == [
        ("CREATE INDEX CONCURRENTLY", "executed"),
        ("ALTER TABLE", "executed"),
    ]


def test_t8_an_index_that_failed_is_not_left_behind(users: Shop, release: Release) -> None:
    users.rows("INSERT INTO users (id, email) VALUES (9001, 'x'), (9002, 'X')")
    text = INDEX.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS")
    with pytest.raises(psycopg.errors.UniqueViolation):
        naive(users, text)
    naive(users, text)
    assert valid(users) is False, "the naive re-run reports success over an invalid index"
    naive(users, "DROP INDEX users_email")

    folder = release({"expand/002_index.sql": text})
    with pytest.raises(failures.StatementFailed, match="could not create unique index") as caught:
        migrate.apply(users.owner, folder)
    assert "Key (lower(email::text))= (…)" in str(caught.value.cause), "the column, and no value"
    assert valid(users) is None

    users.rows("DELETE FROM users WHERE id = 9002")
    migrate.apply(users.owner, folder)
    assert valid(users) is True


def test_t8_our_own_invalid_leftover_is_rebuilt(
    users: Shop, release: Release, clock: Clock
) -> None:
    folder = release({"expand/002_index.sql": INDEX})
    break_off_a_build(users, folder, clock)
    assert valid(users) is False
    assert [found.state for found in migrate.status(users.owner, folder)][1] == "partial"

    events: list[dict[str, object]] = []
    migrate.apply(users.owner, folder, report=events.append)

    assert valid(users) is True
    assert [event["how"] for event in events if event["type"] == "statement"] == ["healed"]


def break_off_a_build(shop: Shop, folder: MigrationFolder, clock: Clock) -> None:
    """Let a run pass its deadline while its build waits for an open transaction."""

    def report(event: dict[str, object]) -> None:
        if event["type"] == "waiting":
            clock.stop()

    with psycopg.connect(**shop.admin.parameters()) as blocker:  # type: ignore[arg-type]
        blocker.execute("INSERT INTO users (id) VALUES (7001)")
        with pytest.raises(failures.DeadlinePassed) as caught:
            migrate.apply(shop.owner, folder, report=report)
        assert f"in the way: pid {blocker.info.backend_pid} of postgres" in caught.value.message
        blocker.rollback()
    clock.start()


def test_t8_somebody_elses_invalid_index_is_named_and_left(users: Shop, release: Release) -> None:
    users.rows("INSERT INTO users (id, email) VALUES (9001, 'x'), (9002, 'X')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        naive(users, INDEX)
    users.rows("DELETE FROM users WHERE id = 9002")

    with pytest.raises(failures.IndexForeign, match="users_email exists and is invalid"):
        migrate.apply(users.owner, release({"expand/002_index.sql": FILE}))

    assert valid(users) is False


def test_an_index_built_by_hand_is_adopted(users: Shop, release: Release) -> None:
    naive(users, INDEX)
    events: list[dict[str, object]] = []

    migrate.apply(users.owner, release({"expand/002_index.sql": INDEX}), report=events.append)

    assert [event["how"] for event in events if event["type"] == "statement"] == ["adopted"]


@pytest.mark.parametrize(
    "other",
    [
        "CREATE INDEX users_email ON users (lower(email)) WHERE id > 0",
        "CREATE UNIQUE INDEX users_email ON users (lower(email))",
        "CREATE UNIQUE INDEX users_email ON users (email) WHERE id > 0",
        "CREATE VIEW users_email AS SELECT 1 AS one",
    ],
)
def test_an_index_with_another_definition_is_refused(
    users: Shop, release: Release, other: str
) -> None:
    naive(users, other)

    with pytest.raises(failures.IndexDiffers, match="exists with another definition"):
        migrate.apply(users.owner, release({"expand/002_index.sql": INDEX}))

    assert users.value("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'scratch'") == 0


def test_a_build_that_goes_on_is_waited_for(users: Shop, release: Release) -> None:
    with psycopg.connect(**users.admin.parameters()) as blocker:  # type: ignore[arg-type]
        blocker.execute("INSERT INTO users (id) VALUES (7001)")
        builder = threading.Thread(target=naive, args=(users, INDEX))
        builder.start()
        while valid(users) is None:
            pass
        release_blocker = threading.Timer(0.5, blocker.rollback)
        release_blocker.start()
        events: list[dict[str, object]] = []
        migrate.apply(users.owner, release({"expand/002_index.sql": INDEX}), report=events.append)
        builder.join()
        release_blocker.join()

    assert [event["how"] for event in events if event["type"] == "statement"] == ["adopted"]


def test_dropping_and_rebuilding_indexes_concurrently(users: Shop, release: Release) -> None:
    folder = release(
        {
            "expand/002_index.sql": INDEX,
            "expand/002_index.revert.sql": "DROP INDEX CONCURRENTLY users_email",
            "expand/003_again.sql": "REINDEX TABLE CONCURRENTLY users; VACUUM users;",
            "expand/003_again.revert.sql": "SELECT true",
        }
    )
    migrate.apply(users.owner, folder)
    users.rows(
        "UPDATE changeover.statement SET state = 'intended' WHERE migration_id ~ '003' AND number = 1;"
        "UPDATE changeover.migration SET state = 'running' WHERE id ~ '003'"
    )
    migrate.apply(users.owner, folder)
    assert valid(users) is True


def test_somebody_elses_invalid_index_stays_when_an_interrupted_reindex_is_run_again(
    users: Shop, release: Release
) -> None:
    folder = release(
        {
            "expand/002_index.sql": INDEX,
            "expand/002_index.revert.sql": "DROP INDEX CONCURRENTLY users_email",
        }
    )
    migrate.apply(users.owner, folder)
    folder = release(
        {
            "expand/001_again.sql": "REINDEX TABLE CONCURRENTLY users",
            "expand/001_again.revert.sql": "SELECT true",
        },
        "1.1.0",
    )
    users.rows(INVALID.format("users_email_ccnew"))
    told: list[str] = []
    migrate.apply(users.owner, folder, report=lambda event: told.append(str(event.get("says"))))
    users.rows(
        "UPDATE changeover.statement SET state = 'intended' WHERE migration_id ~ 'again';"
        "UPDATE changeover.migration SET state = 'running' WHERE id ~ 'again'"
    )
    users.rows(INVALID.format("users_email_ccnew1"))

    migrate.apply(users.owner, folder)

    left = users.rows("SELECT relname FROM pg_class WHERE relname LIKE 'users_email_ccnew%'")
    assert left == [("users_email_ccnew",)]
    assert [line for line in told if line.endswith("not ours and left: users_email_ccnew")]


def test_a_partition_is_detached_concurrently_to_its_end(
    shop: Shop, release: Release, clock: Clock
) -> None:
    tables = """
        CREATE TABLE parent (id int) PARTITION BY LIST (id);
        CREATE TABLE part PARTITION OF parent FOR VALUES IN (1);
        CREATE TABLE rest PARTITION OF parent FOR VALUES IN (2);
    """
    migrate.apply(shop.owner, release({"expand/001_tables.sql": tables}))
    folder = release(
        {"contract/001_detach.sql": "ALTER TABLE parent DETACH PARTITION part CONCURRENTLY"}
    )
    pending = "SELECT 1 FROM pg_inherits WHERE inhrelid = 'part'::regclass AND inhdetachpending"

    def report(_event: dict[str, object]) -> None:
        if shop.rows(pending):
            clock.stop()

    with psycopg.connect(**shop.admin.parameters()) as reader:  # type: ignore[arg-type]
        reader.execute("SELECT * FROM parent")
        with pytest.raises((failures.DeadlinePassed, failures.TableBusy)):
            migrate.apply(shop.owner, folder, report=report)
    assert shop.rows(pending)
    clock.start()

    migrate.apply(shop.owner, folder)

    assert shop.value("SELECT count(*) FROM pg_inherits WHERE inhrelid = 'part'::regclass") == 0
