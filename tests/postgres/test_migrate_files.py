"""What files hold: verify queries, backfills in batches, settings, a type's new value."""

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

USERS = "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40));"
ROWS = "INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 1000) AS n;"


def states(shop: Shop, folder: MigrationFolder) -> list[str]:
    return [found.state for found in migrate.status(shop.owner, folder)]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT count(*) = 5 FROM users", "came out wrong in 1 of 1 rows"),
        ("SELECT name IS NULL, id FROM users WHERE id < 9", "came out wrong in 8 of 8 rows"),
        ("SELECT true FROM users WHERE id < 0", "returned no row"),
        ("SELECT NULL::boolean", "came out wrong"),
        ("SELECT 1", "came out wrong"),
        ("SELECT nothing FROM users", "cannot be asked"),
        ("SELECT true FROM (SELECT setval('s', 1)) AS changed", "cannot be asked"),
    ],
)
def test_a_verify_query_that_is_not_true_takes_the_migration_back(
    shop: Shop, release: Release, query: str, says: str
) -> None:
    files = {"expand/001_users.sql": USERS + ROWS + "CREATE SEQUENCE s"}
    folder = release(files | {"expand/001_users.verify.sql": f"SELECT true;\n{query}"})

    with pytest.raises(failures.VerifyFailed) as caught:
        migrate.apply(shop.owner, folder)

    assert "001_users.verify.sql:2" in caught.value.message
    assert says in caught.value.message
    assert shop.value("SELECT to_regclass('users')") is None
    assert states(shop, folder) == ["pending"]


def test_a_verify_query_after_an_index_build_keeps_the_migration_open(
    shop: Shop, release: Release
) -> None:
    files = {
        "expand/001_users.sql": USERS,
        "expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name)",
    }
    folder = release(files | {"expand/002_index.verify.sql": "SELECT count(*) > 0 FROM users"})
    with pytest.raises(failures.VerifyFailed):
        migrate.apply(shop.owner, folder)
    assert states(shop, folder) == ["applied", "partial"]

    shop.rows("INSERT INTO users VALUES (1)")
    migrate.apply(shop.owner, folder)
    assert states(shop, folder) == ["applied", "applied"]


def test_a_backfill_walks_in_batches_and_keeps_its_place(shop: Shop, release: Release) -> None:
    files = {
        "expand/001_users.sql": USERS + ROWS,
        "backfill/001_names.sql": "-- changeover: batch table=users key=id size=300\n"
        "UPDATE users SET name = upper(name) WHERE id BETWEEN $1 AND $2 AND name <> 'stop'",
        "backfill/001_names.verify.sql": "SELECT bool_and(name = upper(name)) FROM users",
    }
    shop.rows("CREATE TABLE seen (id bigint, by xid8)")
    shop.rows(f"GRANT ALL ON seen TO {shop.owner.user}")
    migrate.apply(shop.owner, release({"expand/001_users.sql": files["expand/001_users.sql"]}))
    shop.rows("ALTER TABLE users ADD CONSTRAINT brake CHECK (id <> 700 OR name <> 'USER 700')")
    with pytest.raises(failures.StatementFailed, match=r"001_names.sql:2: UPDATE failed"):
        migrate.apply(shop.owner, release(files))
    assert shop.value("SELECT count(*) FROM users WHERE name LIKE 'USER%'") == 600
    assert shop.rows(
        "SELECT cursor, rows_done FROM changeover.statement WHERE migration_id ~ 'backfill'"
    ) == [("600", 600)]

    shop.rows(
        "ALTER TABLE users DROP CONSTRAINT brake; UPDATE users SET name = 'STOP' WHERE id = 1"
    )
    folder = release(files)
    migrate.apply(shop.owner, folder)

    assert states(shop, folder) == ["applied", "applied"]
    assert shop.value("SELECT count(DISTINCT xmin::text) >= 4 FROM users")


def test_a_backfill_over_an_empty_table_and_text_keys(shop: Shop, release: Release) -> None:
    files = {
        "expand/001_keys.sql": "CREATE TABLE keys (key uuid PRIMARY KEY, n int);"
        "CREATE TABLE none (name text PRIMARY KEY)",
        "backfill/001_none.sql": "-- changeover: batch table=none key=name\n"
        "UPDATE none SET name = name WHERE name BETWEEN $1 AND $2",
        "backfill/002_keys.sql": "-- changeover: batch table=public.keys key=key size=7\n"
        "UPDATE keys SET n = 1 WHERE key BETWEEN $1 AND $2",
    }
    folder = release(files)
    migrate.apply(shop.owner, folder, phases=("expand",))
    shop.rows("INSERT INTO keys SELECT gen_random_uuid() FROM generate_series(1, 50)")

    migrate.apply(shop.owner, folder)

    assert shop.value("SELECT count(*) FROM keys WHERE n = 1") == 50


def test_a_new_enum_value_may_be_used_by_the_next_statement(shop: Shop, release: Release) -> None:
    text = "ALTER TYPE mood ADD VALUE 'wild'; INSERT INTO moods VALUES ('wild');"
    setup = "CREATE TYPE mood AS ENUM ('calm'); CREATE TABLE moods (mood mood);"
    migrate.apply(shop.owner, release({"expand/001_mood.sql": setup}))
    with (
        pytest.raises(psycopg.errors.UnsafeNewEnumValueUsage),
        psycopg.connect(**shop.owner.parameters()) as naive,  # type: ignore[arg-type]
    ):
        naive.execute(text.encode())

    migrate.apply(shop.owner, release({"expand/002_wild.sql": text}))

    assert shop.value("SELECT mood FROM moods") == "wild"


def test_settings_of_a_file_do_not_leak_into_the_next(shop: Shop, release: Release) -> None:
    migrate.apply(
        shop.owner,
        release(
            {
                "expand/001_a.sql": "CREATE SCHEMA other; CREATE TABLE public.t (a int);"
                "SET search_path = other; CREATE TABLE inside (id int);"
                "CREATE INDEX CONCURRENTLY i ON inside (id); CREATE TABLE also ();",
                "expand/002_b.sql": "CREATE TABLE outside (id int)",
            }
        ),
    )
    found = shop.rows(
        "SELECT relnamespace::regnamespace::text, relname::text FROM pg_class"
        " WHERE relname IN ('inside', 'also', 'outside') ORDER BY 2"
    )
    assert found == [("other", "also"), ("other", "inside"), ("public", "outside")]


def test_settings_of_an_interrupted_file_hold_for_its_rest(shop: Shop, release: Release) -> None:
    text = "SET search_path = other; CREATE TABLE inside (id int);"
    text += "CREATE INDEX CONCURRENTLY i ON inside (id);"
    migrate.apply(shop.owner, release({"expand/001_a.sql": "CREATE SCHEMA other"}))
    with pytest.raises(failures.StatementFailed):
        migrate.apply(shop.owner, release({"expand/002_b.sql": text + "SELECT wrong"}))

    migrate.apply(shop.owner, release({"expand/002_b.sql": text + "CREATE TABLE rest (id int)"}))

    assert shop.value("SELECT 'other.rest'::regclass::text") == "other.rest"
