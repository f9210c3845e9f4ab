"""What does not fit the ledger, the way back, and the preview."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

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


def test_an_edited_migration_is_refused_and_nothing_runs(shop: Shop, release: Release) -> None:
    first = release({"expand/001_users.sql": USERS})
    migrate.apply(shop.owner, first)
    folder = release(
        {"expand/001_users.sql": USERS + " -- tidied", "expand/002_next.sql": "CREATE TABLE b ()"}
    )

    with pytest.raises(failures.MigrationEdited) as caught:
        migrate.apply(shop.owner, folder)

    then, now = first.migrations[0].checksum, folder.migrations[0].checksum
    assert str(folder.migrations[0].path) in caught.value.message
    assert caught.value.cause == f"sha256 then {then}, now {now}"
    assert caught.value.exit_code == 2
    assert shop.value("SELECT to_regclass('b')") is None
    assert states(shop, folder) == ["edited", "pending"]
    for refused in (migrate.preview, migrate.revert):
        with pytest.raises(failures.MigrationEdited):
            refused(shop.owner, folder)


def test_a_missing_migration_is_named(shop: Shop, release: Release) -> None:
    folder = release({"expand/001_users.sql": USERS, "expand/002_two.sql": "SELECT 2"})
    migrate.apply(shop.owner, folder)
    folder.migrations[1].path.unlink()
    folder = release({})

    with pytest.raises(failures.MigrationMissing, match=r"has 1.0.0/expand/002_two applied"):
        migrate.apply(shop.owner, folder)
    assert states(shop, folder) == ["applied", "missing"]

    shutil.rmtree(folder.path)
    with pytest.raises(failures.MigrationMissing):
        migrate.apply(shop.owner, release({}))


def test_what_has_not_run_of_an_interrupted_file_may_be_corrected(
    shop: Shop, release: Release
) -> None:
    index = "CREATE INDEX CONCURRENTLY users_name ON users (name);"
    migrate.apply(shop.owner, release({"expand/001_users.sql": USERS}))
    with pytest.raises(failures.StatementFailed):
        migrate.apply(shop.owner, release({"expand/002_index.sql": f"{index} SELECT wrong"}))
    with pytest.raises(failures.MigrationEdited):
        migrate.apply(
            shop.owner, release({"expand/002_index.sql": index.replace("(name)", "(id)")})
        )

    folder = release({"expand/002_index.sql": f"{index} SELECT 'right'"})
    migrate.apply(shop.owner, folder)

    assert states(shop, folder) == ["applied", "applied"]


def test_phases_run_in_their_order(shop: Shop, release: Release) -> None:
    folder = release({"expand/001_users.sql": USERS, "contract/001_end.sql": "SELECT 1"})
    with pytest.raises(failures.PhaseSkipped, match=r"1.0.0/expand/001_users is not applied"):
        migrate.apply(shop.owner, folder, phases=("contract",))
    migrate.apply(shop.owner, folder, phases=("expand",))
    assert migrate.apply(shop.owner, folder, phases=("contract",)).done


def test_going_back_is_newest_first_and_can_go_forward_again(shop: Shop, release: Release) -> None:
    folder = release(
        {
            "expand/001_users.sql": USERS + ROWS,
            "expand/001_users.revert.sql": "DROP TABLE users",
            "expand/002_city.sql": "ALTER TABLE users ADD COLUMN city text",
            "expand/002_city.revert.sql": "ALTER TABLE users DROP COLUMN city",
        }
    )
    migrate.apply(shop.owner, folder)

    outcome = migrate.revert(shop.owner, folder)

    assert outcome.done == ("1.0.0/expand/002_city", "1.0.0/expand/001_users")
    assert states(shop, folder) == ["reverted", "reverted"]
    assert shop.value("SELECT to_regclass('users')") is None
    assert migrate.revert(shop.owner, folder).done == ()
    assert len(migrate.apply(shop.owner, folder).done) == 2
    assert shop.value("SELECT count(city) FROM users") == 0


def test_going_back_without_a_way_changes_nothing(shop: Shop, release: Release) -> None:
    folder = release(
        {
            "expand/001_users.sql": USERS,
            "expand/002_city.sql": "ALTER TABLE users ADD COLUMN city text",
            "expand/002_city.revert.sql": "ALTER TABLE users DROP COLUMN city",
        }
    )
    migrate.apply(shop.owner, folder)
    with pytest.raises(failures.RevertMissing, match=r"001_users.revert.sql does not exist"):
        migrate.revert(shop.owner, folder)
    assert shop.value("SELECT count(city) FROM users") == 0


def test_a_release_under_another_one_is_not_undone(shop: Shop, release: Release) -> None:
    old = release(
        {"expand/001_users.sql": USERS, "expand/001_users.revert.sql": "DROP TABLE users"}
    )
    migrate.apply(shop.owner, old)
    migrate.apply(
        shop.owner, release({"expand/001_b.sql": "CREATE TABLE b (id int)"}, version="2.0.0")
    )
    with pytest.raises(failures.NewerApplied, match=r"2.0.0/expand/001_b was applied on top"):
        migrate.revert(shop.owner, old)


def test_the_preview_shows_locks_sizes_and_rewrites(shop: Shop, release: Release) -> None:
    migrate.apply(shop.owner, release({"expand/001_users.sql": USERS + ROWS}))
    shop.rows("ANALYZE users")
    folder = release(
        {
            "expand/002_wide.sql": "ALTER TABLE users ALTER COLUMN name TYPE varchar(80);\n"
            "ALTER TABLE users ALTER COLUMN name TYPE char(80);",
            "expand/003_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name)",
            "expand/004_drop.sql": "DROP INDEX users_pkey",
            "expand/005_new.sql": "CREATE TABLE new (id int REFERENCES users); DROP TABLE new",
        }
    )

    shown = migrate.preview(shop.owner, folder)

    assert [(found.migration[-8:], found.kind, found.rewrites) for found in shown] == [
        ("002_wide", "ALTER TABLE", False),
        ("002_wide", "ALTER TABLE", True),
        ("03_index", "CREATE INDEX CONCURRENTLY", False),
        ("004_drop", "DROP INDEX", False),
        ("/005_new", "CREATE TABLE", False),
        ("/005_new", "DROP TABLE", False),
    ]
    wide, _, index, drop, new, gone = (found.targets[0] for found in shown)
    assert (wide.table, wide.lock, wide.rows) == ("users", "ACCESS EXCLUSIVE", 1000)
    assert wide.size_bytes > 50_000
    assert wide.who_waits == "readers and writers wait"
    assert (index.lock, index.who_waits) == (
        "SHARE UPDATE EXCLUSIVE",
        "nobody who reads or writes waits",
    )
    assert (drop.table, drop.lock) == ("users", "ACCESS EXCLUSIVE")
    assert (new.lock, new.who_waits) == ("SHARE ROW EXCLUSIVE", "writers wait")
    assert (gone.table, gone.exists, gone.rows) == ("new", False, None)
    assert not shown[2].transactional
    assert shop.value("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'scratch'") == 0
    assert states(shop, folder)[1:] == ["pending"] * 4
