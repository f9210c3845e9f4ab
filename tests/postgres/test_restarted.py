"""A server that goes away in the middle, told or crashed: the plain re-run goes on from there."""

from __future__ import annotations

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until
from tests.postgres.own_server import connect

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.own_server import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

ROWS = 3000
# Whoever passes waits until the gate is open, which is seen by every new statement.
USERS = f"""
    CREATE TABLE users (id bigint PRIMARY KEY, name text, copied text);
    INSERT INTO users (id, name) SELECT n, 'user ' || n FROM generate_series(1, {ROWS}) AS n;
    CREATE TABLE gate (open int);
    CREATE TABLE log (line text);
    CREATE FUNCTION pass() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN true;
    END $$;
"""  # noqa: S608 - the test's own number
AT_THE_GATE = """SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'
    AND application_name = 'changeover migrate work'"""
TRANSACTIONAL = {
    "expand/002_log.sql": "INSERT INTO log VALUES ('002'); ALTER TABLE users ADD COLUMN city text;"
    "SELECT pass(); INSERT INTO log VALUES ('after')"
}
BACKFILL = {
    "backfill/001_copied.sql": "-- changeover: batch table=users key=id size=100\n"
    "UPDATE users SET copied = concat(copied, name)"
    f" WHERE id BETWEEN $1 AND $2 AND (id <> {ROWS // 2} OR pass())"
}
INDEX = {"expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name)"}
HOWS = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
ENDED = (failures.ConnectionLost, failures.RunnerLockLost)


@pytest.fixture
def users(shop: Shop, release: Release) -> Shop:
    migrate.apply(shop.owner, release({"expand/001_users.sql": USERS}))
    return shop


def cut(shop: Shop, folder: MigrationFolder, reached: str, how: signal.Signals) -> None:
    """Restart the server once the run has reached a place that a query tells."""
    with ThreadPoolExecutor(1) as pool:
        runner = pool.submit(migrate.apply, shop.owner, folder)
        until(lambda: shop.rows(reached))
        shop.server.stop(how)
        with pytest.raises(ENDED) as caught:
            runner.result(timeout=60)
        shop.server.start()
    assert "run the same command again" in caught.value.hint


@HOWS
def test_a_transaction_is_whole_or_not_there(
    users: Shop, release: Release, how: signal.Signals
) -> None:
    folder = release(TRANSACTIONAL)
    cut(users, folder, AT_THE_GATE, how)
    assert users.rows("SELECT line FROM log") == []
    users.rows("INSERT INTO gate VALUES (1)")

    assert migrate.apply(users.owner, folder).done == ("1.0.0/expand/002_log",)

    assert users.rows("SELECT line FROM log ORDER BY 1") == [("002",), ("after",)]


@HOWS
def test_a_backfill_goes_on_after_its_last_batch(
    users: Shop, release: Release, how: signal.Signals
) -> None:
    folder = release(BACKFILL)
    cut(users, folder, AT_THE_GATE, how)
    assert 0 < users.value("SELECT count(copied) FROM users") < ROWS // 2
    users.rows("INSERT INTO gate VALUES (1)")

    migrate.apply(users.owner, folder)

    assert users.value("SELECT bool_and(copied = name) FROM users")


@HOWS
def test_an_index_that_was_cut_is_built_anew(
    users: Shop, release: Release, how: signal.Signals
) -> None:
    folder = release(INDEX)
    events: list[dict[str, object]] = []
    # the server ends it, so there is nothing to commit
    with contextlib.closing(connect(users.admin)) as blocker:
        blocker.execute("BEGIN; INSERT INTO users (id) VALUES (0)")
        cut(users, folder, "SELECT 1 FROM pg_index WHERE NOT indisvalid", how)
    assert users.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid"), "as every tool leaves it"

    migrate.apply(users.owner, folder, report=events.append)

    assert [event["how"] for event in events if event["type"] == "statement"] == ["healed"]
    assert users.value("SELECT bool_and(indisvalid) FROM pg_index")
