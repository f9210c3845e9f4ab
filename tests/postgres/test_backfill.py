"""Backfills: sized by the time they hold locks, told as they go, continued by whoever comes next."""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until
from tests.postgres.own_server import connect

from changeover.executors import migrate
from changeover.executors.migrate import failures
from changeover.executors.migrate.backfill.keyset import KeyUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.own_server import Runner, Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]
    Start = Callable[..., Runner]

pytestmark = pytest.mark.postgres

COUNTED = "SET n = n + 1 WHERE id BETWEEN $1 AND $2"
SLOW = f"UPDATE users {COUNTED} AND pg_sleep((SELECT seconds FROM brake)) IS NOT NULL"  # noqa: S608 - a constant
CURSOR = "SELECT cursor::bigint FROM changeover.statement WHERE migration_id ~ 'backfill'"
AT_WORK = """
    SELECT 1 FROM pg_stat_activity
    WHERE application_name = 'changeover migrate work' AND datname = current_database()
"""
LARGEST_BATCH = (
    "SELECT max(rows) FROM (SELECT count(*) AS rows FROM users GROUP BY xmin) AS batches"
)
BATCHES = "SELECT count(DISTINCT xmin::text) FROM users"


def make(shop: Shop, rows: int, key: str = "bigint PRIMARY KEY") -> None:
    shop.rows(f"CREATE TABLE users (id {key}, n int NOT NULL DEFAULT 0)")
    shop.rows(f"INSERT INTO users SELECT g FROM generate_series(1, {rows}) AS g; ANALYZE users")  # noqa: S608 - a number
    shop.rows("CREATE TABLE brake AS SELECT 0.001::float AS seconds; GRANT ALL ON brake TO PUBLIC")
    shop.rows(f"ALTER TABLE users OWNER TO {shop.owner.user}")


def release_brake(shop: Shop) -> None:
    """Let what is left go fast: rows took a millisecond each so far."""
    shop.rows("UPDATE brake SET seconds = 0")


def fill(statement: str, words: str = "", table: str = "users") -> dict[str, str]:
    comment = f"-- changeover: batch table={table} key=id {words}".rstrip()
    return {"backfill/001_n.sql": f"{comment}\n{statement}"}


def each_once(shop: Shop, rows: int) -> bool:
    return shop.rows("SELECT count(*), min(n), max(n) FROM users") == [(rows, 1, 1)]


def test_a_batch_that_holds_its_locks_too_long_is_taken_back_and_made_smaller(
    shop: Shop, release: Release
) -> None:
    make(shop, 600)

    migrate.apply(shop.owner, release(fill(SLOW, "size=5000")))

    assert each_once(shop, 600)
    assert shop.value(LARGEST_BATCH) <= 150, "a millisecond a row, stopped after 150"


def test_batches_grow_while_they_are_quick(shop: Shop, release: Release) -> None:
    make(shop, 20_000)

    migrate.apply(shop.owner, release(fill(f"UPDATE users {COUNTED}", "size=10")))

    assert each_once(shop, 20_000)
    assert shop.value(BATCHES) < 500, "and not the 2,000 that ten rows each would make"


def test_a_row_that_takes_longer_than_the_target_is_changed_all_the_same(
    shop: Shop, release: Release
) -> None:
    make(shop, 3)
    shop.rows("UPDATE brake SET seconds = 0.2")

    migrate.apply(shop.owner, release(fill(SLOW, "size=3 target=50ms")), deadline_seconds=30)

    assert each_once(shop, 3)


def test_progress_is_told_once_a_second_with_the_planners_total(
    shop: Shop, release: Release
) -> None:
    make(shop, 9000)
    batches: list[tuple[float, dict[str, object]]] = []

    def report(event: dict[str, object]) -> None:
        if event["type"] == "batch":
            batches.append((time.monotonic(), event))
        if len(batches) == 2:
            release_brake(shop)

    migrate.apply(shop.owner, release(fill(SLOW, "size=100")), report=report)

    assert len(batches) >= 2
    assert all(later - at > 0.9 for (at, _), (later, _) in itertools.pairwise(batches))
    for _, event in batches:
        assert event["estimated_keys"] == 9000
        keys, speed = (int(str(event[name])) for name in ("keys", "keys_per_second"))
        assert 0 < keys == event["rows"]
        assert event["eta_seconds"] == pytest.approx((9000 - keys) / speed, rel=0.1, abs=0.2)
        assert f"{event['keys']} of about 9000 keys" in str(event["says"])


def test_killed_controllers_leave_a_place_where_others_go_on(
    shop: Shop, release: Release, start_runner: Start
) -> None:
    make(shop, 3000)
    folder = release(fill(SLOW, "size=50 target=20ms"))
    chance = random.Random(3)  # noqa: S311 - moments, not secrets
    cursors = [0]
    for _ in range(2):
        runner = start_runner(shop, folder)
        until(lambda: place(shop) > cursors[-1])
        time.sleep(chance.uniform(0, 0.1))
        runner.kill()
        until(lambda: not shop.rows(AT_WORK))
        cursors.append(place(shop))
        assert shop.value("SELECT max(id) FROM users WHERE n > 0") == cursors[-1]

    assert cursors == sorted(set(cursors))
    assert cursors[-1] < 3000, "it was still under way"
    release_brake(shop)
    last = start_runner(shop, folder)

    assert last.end() == ""
    assert each_once(shop, 3000)
    assert shop.value("SELECT rows_done FROM changeover.statement") == 3000


def place(shop: Shop) -> int:
    if shop.value("SELECT to_regclass('changeover.statement') IS NULL"):
        return 0
    found = shop.rows(CURSOR)
    return found[0][0] or 0 if found else 0


def test_rows_that_keep_coming_at_the_end_do_not_hold_it_up(shop: Shop, release: Release) -> None:
    make(shop, 100)
    shop.rows("CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN"
              " INSERT INTO users SELECT max(id) + 1 FROM users; RETURN NULL; END'")  # fmt: skip
    shop.rows("CREATE TRIGGER more AFTER UPDATE ON users EXECUTE FUNCTION more()")

    migrate.apply(
        shop.owner, release(fill(f"UPDATE users {COUNTED}", "size=30")), deadline_seconds=30
    )

    assert shop.value("SELECT count(*) FROM users WHERE id <= 100 AND n = 1") == 100


@pytest.mark.parametrize(
    ("key", "table", "fault"),
    [
        ("bigint UNIQUE", "users", "it may be null"),
        ("bigint NOT NULL", "users", "no valid unique index"),
        ("bigint NOT NULL, other int, UNIQUE (id, other)", "users", "no valid unique index"),
        ("bigint PRIMARY KEY", "nobody", "no such column"),
    ],
)
def test_a_column_that_cannot_be_walked_by_is_refused(
    shop: Shop, release: Release, key: str, table: str, fault: str
) -> None:
    make(shop, 10, key)

    with pytest.raises(KeyUnusable, match=fault) as caught:
        migrate.apply(shop.owner, release(fill(f"UPDATE users {COUNTED}", table=table)))

    assert caught.value.exit_code == 2
    assert "primary key" in caught.value.hint
    assert shop.value("SELECT sum(n) FROM users") == 0
    assert shop.rows("SELECT * FROM changeover.migration") == []


def test_a_key_that_is_no_use_is_found_before_anything_runs(shop: Shop, release: Release) -> None:
    make(shop, 10, "bigint NOT NULL")
    before = {"expand/001_other.sql": "CREATE TABLE other (id int)"}
    folder = release(before | fill(f"UPDATE users {COUNTED}"))

    with pytest.raises(KeyUnusable, match=r"001_n\.sql cannot walk by users\.id: it has no valid"):
        migrate.foresee(shop.owner, folder.migrations)
    with pytest.raises(KeyUnusable):
        migrate.apply(shop.owner, folder)

    assert shop.value("SELECT to_regclass('other')") is None
    release({"expand/002_key.sql": "ALTER TABLE users ADD PRIMARY KEY (id)"})
    migrate.foresee(shop.owner, release({}).migrations)
    migrate.apply(shop.owner, release({}))
    assert each_once(shop, 10)


def test_a_column_whose_unique_index_leaves_rows_out_is_refused(
    shop: Shop, release: Release
) -> None:
    make(shop, 10, "bigint NOT NULL")
    shop.rows("CREATE UNIQUE INDEX late ON users (id) WHERE id > 5")

    with pytest.raises(KeyUnusable, match="no valid unique index"):
        migrate.apply(shop.owner, release(fill(f"UPDATE users {COUNTED}")))

    assert shop.value("SELECT sum(n) FROM users") == 0


def test_a_batch_lets_others_by_who_hold_its_rows(shop: Shop, release: Release) -> None:
    make(shop, 100)
    events: list[dict[str, object]] = []
    with connect(shop.admin) as other, other.transaction():
        other.execute("SELECT FROM users WHERE id = 50 FOR UPDATE")

        def report(event: dict[str, object]) -> None:
            events.append(event)
            if event["type"] == "lock-retry" and not other.closed:
                other.close()

        migrate.apply(shop.owner, release(fill(f"UPDATE users {COUNTED}")), report=report)

    assert [event["type"] for event in events].count("lock-retry") >= 1
    assert each_once(shop, 100)


def test_a_runner_that_was_overtaken_takes_its_batch_back(shop: Shop, release: Release) -> None:
    make(shop, 9000)

    def report(event: dict[str, object]) -> None:
        if event["type"] == "batch":
            shop.rows("UPDATE changeover.fence SET number = number + 1, runner = 'another'")

    with pytest.raises(failures.RunnerFenced):
        migrate.apply(shop.owner, release(fill(SLOW, "size=100")), report=report)

    assert shop.value("SELECT count(*) FROM users WHERE n > 0") == place(shop) < 9000
