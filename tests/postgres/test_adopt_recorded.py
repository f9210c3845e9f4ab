"""What other migration tools left in a database: named, kept with the baseline, and heeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.own_server import connect

from changeover.executors import migrate
from changeover.executors.migrate.adoption import proof

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.own_server import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

VERSIONS = "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);"
FLYWAY = """
    CREATE TABLE flyway_schema_history (
        installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
        type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int,
        installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(),
        execution_time int NOT NULL, success boolean NOT NULL
    );
    INSERT INTO flyway_schema_history VALUES
        (1, NULL, '<< Flyway Schema Creation >>', 'SCHEMA', 's', NULL, 'me', now(), 0, true),
        (2, '1', 'users', 'SQL', 'V1.sql', 1, 'me', now(), 1, true),
        (3, '2', 'names', 'SQL', 'V2.sql', 1, 'me', now(), 1, true),
        (4, '2', 'names', 'UNDO_SQL', 'U2.sql', 1, 'me', now(), 1, true),
        (5, NULL, 'views', 'SQL', 'R__views.sql', 1, 'me', now(), 1, true),
        (6, NULL, 'views', 'SQL', 'R__views.sql', 2, 'me', now(), 1, true);
"""
FAILED_ROW = (
    "INSERT INTO flyway_schema_history VALUES"
    " (7, '3', 'more', 'SQL', 'V3.sql', 1, 'me', now(), 1, false);"
)
SQITCH = """
    CREATE SCHEMA sqitch;
    CREATE TABLE sqitch.changes (
        change_id text PRIMARY KEY, script_hash text, change text NOT NULL, project text NOT NULL,
        committed_at timestamptz NOT NULL, planner_name text NOT NULL
    );
    CREATE TABLE sqitch.events (
        event text NOT NULL, change_id text NOT NULL, change text NOT NULL, project text NOT NULL,
        committed_at timestamptz NOT NULL
    );
    INSERT INTO sqitch.changes VALUES
        ('b', '1', 'names', 'shop', now() - interval '1 minute', 'me'),
        ('a', '2', 'users', 'shop', now() - interval '5 minutes', 'me');
    INSERT INTO sqitch.events VALUES
        ('deploy', 'a', 'users', 'shop', now() - interval '5 minutes'),
        ('fail', 'b', 'names', 'shop', now() - interval '4 minutes'),
        ('deploy', 'b', 'names', 'shop', now() - interval '1 minute');
"""
FAILED_CHANGE = "INSERT INTO sqitch.events VALUES ('fail', 'c', 'more', 'shop', now());"
DIRTY = "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"


@pytest.fixture
def folder(shop: Shop, release: Release) -> MigrationFolder:
    made = "CREATE TABLE users (id bigint)"
    leave(shop, made)
    return release(
        {
            "expand/001_users.sql": made,
            "expand/001_users.verify.sql": "SELECT to_regclass('users') IS NOT NULL",
        }
    )


def leave(shop: Shop, *texts: str) -> None:
    with connect(shop.owner) as connection:
        for text in texts:
            connection.execute(text.encode())


@pytest.mark.parametrize(
    ("texts", "tool", "table", "applied"),
    [
        (
            (VERSIONS, "INSERT INTO schema_migrations VALUES ('2025'), ('2024')"),
            *("dbmate", "public.schema_migrations", ("2024", "2025")),
        ),
        (
            (
                VERSIONS,
                "CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY)",
                "INSERT INTO schema_migrations VALUES ('1')",
            ),
            *("Rails", "public.schema_migrations", ("1",)),
        ),
        (
            (DIRTY, "INSERT INTO schema_migrations VALUES (4, false)"),
            *("golang-migrate", "public.schema_migrations", ("4",)),
        ),
        (
            (
                "CREATE SCHEMA app",
                "CREATE TABLE app.alembic_version (version_num varchar(32))",
                "INSERT INTO app.alembic_version VALUES ('ae1'), ('0b2')",
            ),
            *("Alembic", "app.alembic_version", ("0b2", "ae1")),
        ),
        (
            ("CREATE TABLE alembic_version (version_num text)",),
            "Alembic",
            "public.alembic_version",
            (),
        ),
        ((FLYWAY,), "Flyway", "public.flyway_schema_history", ("1", "views")),
        ((SQITCH,), "Sqitch", "sqitch.changes", ("shop:users", "shop:names")),
    ],
    ids=["dbmate", "rails", "golang-migrate", "alembic", "alembic-empty", "flyway", "sqitch"],
)
def test_what_a_tool_recorded_is_named_and_kept(
    texts: tuple[str, ...],
    tool: str,
    table: str,
    applied: tuple[str, ...],
    shop: Shop,
    folder: MigrationFolder,
) -> None:
    leave(shop, *texts)

    found = migrate.adopt(shop.owner, [folder])

    (told,) = found.recorded
    assert (told.tool, told.table, told.applied, told.failed) == (tool, table, applied, ())
    assert told.says == f"{tool} recorded in {table}: {', '.join(applied) or 'nothing'}"
    begun = migrate.began(shop.owner)
    assert begun is not None
    assert begun.recorded == (told,)


@pytest.mark.parametrize(
    ("texts", "name", "said"),
    [
        (
            (FLYWAY, FAILED_ROW),
            "3",
            "Flyway recorded in public.flyway_schema_history that 3 failed",
        ),
        (
            (DIRTY, "INSERT INTO schema_migrations VALUES (4, true)"),
            *("4", "golang-migrate recorded in public.schema_migrations that 4 failed"),
        ),
    ],
    ids=["flyway", "golang-migrate"],
)
def test_what_a_tool_left_unfinished_refuses_whatever_is_trusted(
    texts: tuple[str, ...], name: str, said: str, shop: Shop, folder: MigrationFolder
) -> None:
    leave(shop, *texts)

    for trust in ((), (name,)):
        with pytest.raises(proof.BaselineUnproved) as caught:
            migrate.examine(shop.owner, [folder], trust=trust)
        assert said in str(caught.value.cause)
        assert "finished or undone with that tool" in caught.value.hint


def test_a_change_that_sqitch_remembers_as_failed_takes_a_word(
    shop: Shop, folder: MigrationFolder
) -> None:
    leave(shop, SQITCH, FAILED_CHANGE)

    with pytest.raises(proof.BaselineUnproved) as caught:
        migrate.examine(shop.owner, [folder])

    cause = str(caught.value.cause).splitlines()
    assert cause == [
        "Sqitch recorded in sqitch.changes that shop:more failed",
        "Sqitch recorded in sqitch.changes: shop:users, shop:names; failed: shop:more",
    ]
    assert caught.value.hint.endswith("changeover db adopt 1.0.0 --trust shop:more")
    found = migrate.adopt(shop.owner, [folder], trust=["shop:more"])
    assert found.trusted == ("shop:more",)


@pytest.mark.parametrize("closed", ["sqitch.changes", "sqitch.events"])
def test_a_table_that_we_may_not_read_refuses_with_what_to_grant(
    closed: str, shop: Shop, folder: MigrationFolder
) -> None:
    leave(shop, SQITCH)
    shop.rows(f"ALTER TABLE {closed} OWNER TO postgres")

    with pytest.raises(proof.BaselineUnproved) as caught:
        migrate.examine(shop.owner, [folder])

    assert "grant SELECT on sqitch.changes to the owner role first" in str(caught.value.cause)


def test_several_tools_are_told_and_tables_that_only_look_alike_are_not(
    shop: Shop, folder: MigrationFolder
) -> None:
    leave(
        shop,
        VERSIONS,
        "CREATE TABLE alembic_version (version_num text);"
        " CREATE TABLE changes (change_id int, change text);"
        " CREATE TABLE releases (version text); CREATE TABLE parts (id int, version text);"
        " CREATE SCHEMA shown; CREATE VIEW shown.alembic_version AS SELECT * FROM alembic_version",
    )

    found = migrate.examine(shop.owner, [folder])

    assert [told.tool for told in found.recorded] == ["Alembic", "dbmate"]
