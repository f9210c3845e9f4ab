"""Tables that data checks compare are held still, and whoever is in the way is let by."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.postgres import gate
from tests.postgres.checked import SETUP, VIEW, apply, files, states
from tests.postgres.conftest import connect
from tests.postgres.moments import until

from changeover.errors import Failed
from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from tests.postgres.checked import Event, Release
    from tests.postgres.conftest import Shop

    from changeover.migrations.records import MigrationFolder


pytestmark = pytest.mark.postgres


def test_a_delta_is_the_migrations_own_whatever_others_write(shop: Shop, release: Release) -> None:
    setup = SETUP + gate.GATE
    apply(shop, release({"expand/001_setup.sql": setup}))
    shop.rows(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {shop.app.user}")

    with connect(shop.owner) as naive, naive.transaction(force_rollback=True):
        before = naive.execute("SELECT count(*) FROM users").fetchone()
        naive.execute("DELETE FROM users WHERE id = 1")
        shop.rows("INSERT INTO users (name) VALUES ('late')")
        assert naive.execute("SELECT count(*) FROM users").fetchone() == before, (
            "the loss is hidden"
        )

    lossy = files("DELETE FROM users WHERE id = 1; SELECT pass()", "rows: {users: 0}")
    with pytest.raises(failures.DataCheckFailed, match="101 before, 100 after, -1"):
        beside_a_writer(shop, release({**lossy, "expand/001_setup.sql": setup}))
    same = files("SELECT pass()", "rows: {users: 0}")
    beside_a_writer(shop, release({**same, "expand/001_setup.sql": setup}))
    assert shop.value("SELECT count(*) FROM users WHERE name = 'late'") == 3


def beside_a_writer(shop: Shop, folder: MigrationFolder) -> None:
    """Apply what waits at the gate while somebody reads, and somebody else writes as soon as it is let."""
    late = "INSERT INTO users (name) VALUES ('late')"
    queued = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT%late%'"
    shop.rows(gate.CLOSE)
    with (
        ThreadPoolExecutor(2) as pool,
        connect(shop.app) as reader,
        connect(shop.app) as writer,
    ):
        runner = pool.submit(apply, shop, folder)
        try:
            until(lambda: shop.rows(gate.WAITING))
            reader.execute("SET statement_timeout = '20s'")
            assert reader.execute("SELECT count(*) > 90 FROM users").fetchone() == (True,)
            written = pool.submit(writer.execute, late.encode())
            until(lambda: shop.rows(queued))
        finally:
            shop.rows(gate.OPEN)
        written.result(timeout=60)
        runner.result(timeout=60)


def test_every_table_that_is_compared_is_held_still(shop: Shop, release: Release) -> None:
    setup = SETUP + VIEW
    apply(shop, release({"expand/001_setup.sql": setup}))
    held = (
        "CREATE TABLE held AS SELECT relation::regclass::text AS name FROM pg_locks"
        " WHERE pid = pg_backend_pid() AND mode = 'ShareRowExclusiveLock'"
    )
    checks = """
        rows: {named: 0}
        not_null: [users.id]
        invariants:
          x: {before: WITH s AS (SELECT 1) SELECT count(*) FROM s WHERE EXISTS (SELECT FROM tokens)}
          y: {before: SELECT count(*) > 0 FROM pg_database}
    """

    apply(shop, release(files(held, checks) | {"expand/001_setup.sql": setup}))

    assert shop.rows("SELECT name FROM held ORDER BY 1") == [("named",), ("tokens",), ("users",)]


@pytest.mark.parametrize(
    ("others", "checks", "figures"),
    [
        (
            "INSERT INTO users (name) VALUES ('late')",
            "rows: {users: 0}",
            {"before": 101, "after": 101, "delta": 0},
        ),
        ("LOCK TABLE tokens", "not_null: [tokens.user_id]", {"nulls": 0}),
    ],
)
def test_whoever_is_in_the_way_is_let_by_and_the_checks_begun_anew(
    shop: Shop, release: Release, others: str, checks: str, figures: dict[str, int]
) -> None:
    apply(shop, release({"expand/001_setup.sql": SETUP}))
    folder = release(files("SELECT 1", checks))
    events: list[Event] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            migrate.apply(shop.owner, folder, report=events.append)
        except Failed as error:
            failed.append(error)

    with connect(shop.admin) as other, other.transaction():
        other.execute(others.encode())
        runner = threading.Thread(target=run)
        runner.start()
        until(lambda: failed or any(event["type"] == "lock-retry" for event in events))
    runner.join(30)

    assert failed == []
    taken = [event["figures"] for event in events if event["type"] == "data-check"]
    assert taken == [figures]


def test_checks_of_what_runs_in_batches_are_taken_at_its_end(shop: Shop, release: Release) -> None:
    written = {
        "expand/001_setup.sql": SETUP,
        "backfill/001_names.sql": "-- changeover: batch table=users key=id size=30\n"
        "UPDATE users SET name = NULLIF(name, 'user 50') WHERE id BETWEEN $1 AND $2",
        "backfill/001_names.checks.yml": "not_null: [users.name]",
    }
    folder = release(written)

    with pytest.raises(failures.DataCheckFailed, match="1 row with NULL, such as id=50") as caught:
        apply(shop, folder)
    assert "what the migration committed stays" in caught.value.hint
    assert states(shop, folder) == ["applied", "partial"]

    shop.rows("UPDATE users SET name = 'found' WHERE id = 50")
    events = apply(shop, folder)
    assert [event["check"] for event in events if event["type"] == "data-check"] == [
        "not_null users.name"
    ]
    assert states(shop, folder) == ["applied", "applied"]
