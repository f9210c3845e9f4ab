from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

USERS = """
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL);
CREATE FUNCTION twice(number int) RETURNS int LANGUAGE sql BEGIN ATOMIC
    SELECT 1;
    SELECT number * 2;
END;
DO $$ BEGIN PERFORM 1; END $$;
INSERT INTO users (email) VALUES ('semi;colon@example.org');
"""


def states(shop: Shop, folder: MigrationFolder) -> list[str]:
    return [found.state for found in migrate.status(shop.owner, folder)]


def test_each_migration_runs_once_and_the_ledger_says_so(shop: Shop, release: Release) -> None:
    folder = release(
        {
            "expand/001_users.sql": USERS,
            "expand/001_users.verify.sql": "SELECT count(*) = 1, count(*) FROM users",
            "expand/002_names.sql": "ALTER TABLE users ADD COLUMN name text",
            "contract/001_drop.sql": "ALTER TABLE users DROP COLUMN email",
        }
    )
    assert states(shop, folder) == ["pending", "pending", "pending"]
    events: list[dict[str, object]] = []

    first = migrate.apply(shop.owner, folder, phases=("expand",), report=events.append)
    second = migrate.apply(shop.owner, folder, phases=("expand",))

    assert first.done == ("1.0.0/expand/001_users", "1.0.0/expand/002_names")
    assert second.done == ()
    assert second.unchanged == first.done
    assert states(shop, folder) == ["applied", "applied", "pending"]
    assert shop.value("SELECT twice(21)") == 42
    assert [event["kind"] for event in events if event["type"] == "statement"] == [
        "CREATE TABLE",
        "CREATE FUNCTION",
        "DO",
        "INSERT",
        "ALTER TABLE",
    ]
    recorded = shop.rows("SELECT checksum, state FROM changeover.migration ORDER BY position")
    assert recorded == [(item.checksum, "applied") for item in folder.migrations[:2]]


def test_the_ledger_tells_when_each_statement_began_and_ended(shop: Shop, release: Release) -> None:
    folder = release(
        {
            "expand/001_users.sql": "CREATE TABLE users (id int); CREATE TABLE others (id int);"
            "INSERT INTO users SELECT generate_series(1, 20000)",
        }
    )
    migrate.apply(shop.owner, folder)

    told = shop.rows(
        "SELECT number, how, started_at < begun_at, begun_at < done_at, done_at < changed_at,"
        " begun_at > lag(done_at, 1, started_at) OVER (ORDER BY number)"
        " FROM changeover.statement JOIN changeover.migration ON migration.id = migration_id"
        " ORDER BY number"
    )
    assert told == [(number, "executed", True, True, True, True) for number in (1, 2, 3)]


def test_a_refused_statement_leaves_nothing_and_names_its_line(
    shop: Shop, release: Release
) -> None:
    folder = release(
        {
            "expand/001_users.sql": USERS,
            "expand/002_broken.sql": "CREATE TABLE half (id int);\n\nSELECT\n  nothing FROM users;",
        }
    )

    with pytest.raises(failures.StatementFailed) as caught:
        migrate.apply(shop.owner, folder)

    assert '002_broken.sql:4: SELECT failed: column "nothing" does not exist' in str(caught.value)
    assert caught.value.host == "test-db"
    assert shop.value("SELECT to_regclass('half')") is None
    assert states(shop, folder) == ["applied", "pending"]

    release({"expand/002_broken.sql": "CREATE TABLE half (id int)"})
    folder = release({})
    assert migrate.apply(shop.owner, folder).done == ("1.0.0/expand/002_broken",)


def test_the_ledger_is_described_and_closed_to_the_app(shop: Shop, release: Release) -> None:
    owner, app = shop.owner.user, shop.app.user
    shop.rows(f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT ON TABLES TO {app}")
    shop.rows(f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT USAGE ON SCHEMAS TO {app}")
    migrate.apply(shop.owner, release({"expand/001_users.sql": USERS}))

    undescribed = shop.rows(
        "SELECT attrelid::regclass, attname FROM pg_attribute"
        " JOIN pg_class ON pg_class.oid = attrelid AND relkind = 'r'"
        " WHERE relnamespace = 'changeover'::regnamespace AND attnum > 0"
        " AND col_description(attrelid, attnum) IS NULL"
    )
    assert undescribed == []
    assert shop.rows(
        f"SELECT has_schema_privilege('{app}', 'changeover', 'USAGE'),"  # noqa: S608 - our own names
        f" bool_or(has_table_privilege('{app}', oid, 'SELECT')) FROM pg_class"
        " WHERE relnamespace = 'changeover'::regnamespace AND relkind = 'r'"
    ) == [(False, False)]
    with (
        psycopg.connect(**shop.app.parameters()) as connection,  # type: ignore[arg-type]
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT * FROM changeover.migration")
