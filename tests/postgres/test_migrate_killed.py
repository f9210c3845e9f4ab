"""T16: a runner that is killed at any moment is continued by running it again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.postgres.moments import until

from changeover.executors import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Runner, Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]
    Start = Callable[..., Runner]

pytestmark = pytest.mark.postgres

FILES = {
    "expand/001_users.sql": """
        CREATE TABLE users (id bigint PRIMARY KEY, name text, copied text);
        INSERT INTO users (id, name) SELECT n, 'user ' || n FROM generate_series(1, 20000) AS n;
        CREATE TABLE log (migration text);
    """,
    "expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (lower(name));"
    "INSERT INTO log VALUES ('002'); CREATE INDEX CONCURRENTLY users_copied ON users (copied);",
    "expand/003_log.sql": "INSERT INTO log VALUES ('003'); ALTER TABLE log ADD COLUMN at timestamptz",
    "expand/004_drop.sql": "DROP INDEX CONCURRENTLY users_copied",
    "backfill/001_copied.sql": "-- changeover: batch table=users key=id size=1000\n"
    "UPDATE users SET copied = coalesce(copied, '') || name WHERE id BETWEEN $1 AND $2",
    "backfill/001_copied.verify.sql": "SELECT bool_and(copied = name) FROM users",
}


def in_activity(shop: Shop, pattern: str) -> bool:
    return bool(
        shop.rows(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'changeover migrate work'"  # noqa: S608
            f" AND datname = current_database() AND state <> 'idle' AND query ~ '{pattern}'"
        )
    )


def assert_converged(shop: Shop, folder: MigrationFolder) -> None:
    assert {found.state for found in migrate.status(shop.owner, folder)} == {"applied"}
    assert shop.rows("SELECT migration FROM log ORDER BY 1") == [("002",), ("003",)]
    assert shop.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == []
    assert shop.value("SELECT to_regclass('users_copied') IS NULL")
    assert shop.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_name'::regclass")
    assert shop.value("SELECT count(*) = 20000 AND bool_and(copied = name) FROM users")
    assert shop.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'changeover_scratch'") == 0


def test_t16_the_naive_way_is_stuck(shop: Shop) -> None:
    shop.rows("CREATE TABLE users (id int); CREATE TABLE done (id text);")
    step = "ALTER TABLE users ADD COLUMN name text"
    shop.rows(step)  # and here the program is killed, before it writes its row into `done`

    assert shop.rows("SELECT * FROM done") == []
    with pytest.raises(psycopg.errors.DuplicateColumn):
        shop.rows(step)


def test_t16_killed_while_an_index_build_waits(
    shop: Shop, release: Release, start_runner: Start
) -> None:
    migrate.apply(shop.owner, release({"expand/001_users.sql": FILES["expand/001_users.sql"]}))
    folder = release(FILES)
    with psycopg.connect(**shop.admin.parameters()) as blocker:  # type: ignore[arg-type]
        blocker.execute("INSERT INTO users VALUES (0)")
        runner = start_runner(shop, folder)
        until(lambda: bool(shop.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid")))
        runner.kill()
        # its session ends within a second; let go before that, the build would become whole
        until(lambda: not in_activity(shop, "CREATE INDEX CONCURRENTLY"))
        blocker.rollback()

    events: list[dict[str, object]] = []
    migrate.apply(shop.owner, folder, report=events.append)

    assert next(event["how"] for event in events if event["type"] == "statement") == "healed"
    assert_converged(shop, folder)


def test_t16_killed_inside_a_transaction(shop: Shop, release: Release, start_runner: Start) -> None:
    folder = release(
        FILES | {"expand/005_slow.sql": "ALTER TABLE log ADD COLUMN by text; SELECT pg_sleep(600)"}
    )
    runner = start_runner(shop, folder)
    until(lambda: in_activity(shop, "pg_sleep"))
    runner.kill()

    folder = release({"expand/005_slow.sql": "ALTER TABLE log ADD COLUMN by text"})
    migrate.apply(shop.owner, folder, deadline_seconds=60)

    assert_converged(shop, folder)


def test_t16_killed_in_the_middle_of_a_backfill(
    shop: Shop, release: Release, start_runner: Start
) -> None:
    slow = FILES["backfill/001_copied.sql"].replace("size=1000", "size=100")
    folder = release(FILES | {"backfill/001_copied.sql": slow})
    runner = start_runner(shop, folder)
    until(lambda: bool(copied(shop)))
    runner.kill()
    before = copied(shop)

    migrate.apply(shop.owner, folder)

    assert 0 < before <= 20000
    assert_converged(shop, folder)


def copied(shop: Shop) -> int:
    if shop.value("SELECT to_regclass('changeover.statement') IS NULL"):
        return 0
    found = shop.rows("SELECT rows_done FROM changeover.statement WHERE migration_id ~ 'copied'")
    return int(found[0][0]) if found else 0


@pytest.mark.parametrize("seed", range(2))
def test_t16_killed_again_and_again(
    shop: Shop, release: Release, start_runner: Start, seed: int
) -> None:
    folder = release(FILES)
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    kills = 0
    while True:
        runner = start_runner(shop, folder)
        until(
            lambda runner=runner: (  # type: ignore[misc]
                runner.process.poll() is not None
                or bool(
                    shop.rows("SELECT 1 FROM pg_stat_activity WHERE application_name ~ 'work$'")
                )
            )
        )
        time.sleep(chance.uniform(0, 0.1 * (kills + 1)))
        if runner.process.poll() is not None:
            assert runner.end() == ""
            break
        runner.kill()
        kills += 1

    assert kills >= 1
    migrate.apply(shop.owner, folder)
    assert_converged(shop, folder)


def test_a_revert_that_is_killed_is_finished_by_the_next_run(
    shop: Shop, release: Release, start_runner: Start
) -> None:
    folder = release(
        {
            "expand/001_users.sql": FILES["expand/001_users.sql"],
            "expand/001_users.revert.sql": "DROP TABLE log; DROP TABLE users",
            "expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name)",
            "expand/002_index.revert.sql": "DROP INDEX CONCURRENTLY users_name",
        }
    )
    migrate.apply(shop.owner, folder)
    with psycopg.connect(**shop.admin.parameters()) as blocker:  # type: ignore[arg-type]
        blocker.execute("INSERT INTO users VALUES (0)")
        runner = start_runner(shop, folder, revert=True)
        until(lambda: in_activity(shop, "^DROP INDEX"))
        runner.kill()
        blocker.rollback()
    assert [found.state for found in migrate.status(shop.owner, folder)] == ["applied", "reverting"]

    migrate.revert(shop.owner, folder)

    assert shop.value("SELECT to_regclass('users') IS NULL")
    assert {found.state for found in migrate.status(shop.owner, folder)} == {"reverted"}
    assert len(migrate.apply(shop.owner, folder).done) == 2
