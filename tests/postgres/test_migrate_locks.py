"""Locks: readers are let by, runners take turns, and whoever is in the way is named."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.postgres.moments import until

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.conftest import Runner, Shop
    from tests.postgres.moments import Clock

    from changeover.database import Database
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

USERS = "CREATE TABLE users (id bigint PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a');"
ALTER = "ALTER TABLE users ADD COLUMN city text"

STALL = 500  # milliseconds; five times what a statement may queue for a lock
LOCKED_BY_THE_RUNNER = """
    SELECT 1 FROM pg_locks
    WHERE relation = 'users'::regclass AND mode = 'AccessExclusiveLock' AND granted"""
# The runner closes the circle, so it is the one whose wait finds the deadlock.
UNTIL_THE_APP_WAITS = """
    DO $$ BEGIN
        WHILE EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND granted)
            AND NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'users'::regclass AND NOT granted)
        LOOP PERFORM pg_sleep(0.01); END LOOP;
    END $$"""


def session(database: Database, *, autocommit: bool = True) -> psycopg.Connection:
    return psycopg.connect(**database.parameters(), autocommit=autocommit)  # type: ignore[arg-type]


@pytest.fixture
def users(shop: Shop, release: Release) -> Shop:
    migrate.apply(shop.owner, release({"expand/001_users.sql": USERS}))
    return shop


@contextlib.contextmanager
def reading(shop: Shop) -> Iterator[Reader]:
    """Read the table all the time."""
    ended = threading.Event()
    with session(shop.admin) as connection:
        connection.execute(f"SET log_lock_waits = on; SET deadlock_timeout = '{STALL}ms'".encode())
        reader = Reader(shop, connection.info.backend_pid)

        def read() -> None:
            while not ended.is_set():
                connection.execute("SELECT count(*) FROM users")
                reader.reads += 1
                time.sleep(0.005)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield reader
        finally:
            ended.set()
            thread.join()


class Reader:
    """Counts its reads; the server itself notes each time it is kept waiting for a lock."""

    def __init__(self, shop: Shop, pid: int) -> None:
        self.reads = 0
        self._log = shop.server.log
        self._begun = self._log.stat().st_size
        self._note = f"process {pid} still waiting for AccessShareLock".encode()

    @property
    def stalled(self) -> bool:
        """Tell whether a read waited for a lock for longer than `STALL`."""
        return self._note in self._log.read_bytes()[self._begun :]


@contextlib.contextmanager
def open_transaction(shop: Shop) -> Iterator[psycopg.Connection]:
    """Hold a transaction that has read the table."""
    with session(shop.admin, autocommit=False) as connection:
        connection.execute("SELECT * FROM users")
        try:
            yield connection
        finally:
            connection.rollback()


def test_t10_readers_are_not_stalled_behind_a_waiting_alter(users: Shop, release: Release) -> None:
    with reading(users) as stalled, session(users.owner) as naive, ThreadPoolExecutor(1) as pool:
        with open_transaction(users):
            waiting = pool.submit(naive.execute, ALTER.replace("city", "naive").encode())
            until(lambda: stalled.stalled)
            assert not waiting.done()
        waiting.result()

    reads: list[int] = []
    with reading(users) as reader, ThreadPoolExecutor(1) as pool:

        def retried(event: dict[str, object]) -> None:
            if event["type"] == "lock-retry":
                reads.append(reader.reads)

        with open_transaction(users):
            outcome = pool.submit(
                migrate.apply,
                users.owner,
                release({"expand/002_city.sql": ALTER}),
                lock_timeout_milliseconds=100,
                report=retried,
            )
            until(lambda: len(reads) > 4 and reads[-1] > reads[0])
            until(lambda: reader.reads > reads[-1])
        assert outcome.result().retries >= 5

    assert not reader.stalled, "lock_timeout is 0.1 s; the rest is for a busy machine"


def test_whoever_keeps_the_lock_is_named_when_time_is_up(
    users: Shop, release: Release, clock: Clock
) -> None:
    folder = release({"expand/002_city.sql": ALTER})
    events: list[dict[str, object]] = []

    def report(event: dict[str, object]) -> None:
        events.append(event)
        if event["type"] == "lock-retry":
            clock.stop()

    with session(users.admin, autocommit=False) as blocker:
        blocker.execute("SELECT 'who am I' FROM users")
        with pytest.raises(failures.TableBusy) as caught:
            migrate.apply(users.owner, folder, report=report)
        pid = blocker.info.backend_pid

    assert f"in the way: pid {pid} of postgres" in caught.value.message
    assert caught.value.exit_code == 1
    assert [event for event in events if event["type"] == "lock-retry"]
    assert [found.state for found in migrate.status(users.owner, folder)] == ["applied", "pending"]


def test_a_prepared_transaction_in_the_way_is_named(
    users: Shop, release: Release, clock: Clock
) -> None:
    def report(event: dict[str, object]) -> None:
        if event["type"] == "lock-retry":
            clock.stop()

    with session(users.admin) as blocker:
        blocker.execute("BEGIN; SELECT * FROM users; PREPARE TRANSACTION 'forgotten'")
        try:
            with pytest.raises(failures.TableBusy, match=r"prepared transaction.*forgotten"):
                migrate.apply(users.owner, release({"expand/002_city.sql": ALTER}), report=report)
        finally:
            blocker.execute("ROLLBACK PREPARED 'forgotten'")


def test_t9_a_waiting_advisory_lock_deadlocks_with_an_index_build(users: Shop) -> None:
    with (
        session(users.owner) as first,
        session(users.owner) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        first.execute("SELECT pg_advisory_lock(1)")
        waiting = pool.submit(second.execute, "SELECT pg_advisory_lock(1)")
        until(lambda: users.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND objid = 1"))
        with pytest.raises(psycopg.errors.DeadlockDetected):  # noqa: PT012 - either may be chosen
            first.execute("CREATE INDEX CONCURRENTLY users_name ON users (name)")
            waiting.result()
        first.execute("SELECT pg_advisory_unlock_all()")
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            waiting.result()


def test_t9_four_runners_at_once_apply_everything_once(
    shop: Shop, release: Release, start_runner: Callable[..., Runner]
) -> None:
    folder = release(
        {
            "expand/001_users.sql": USERS + "CREATE TABLE log (migration text);",
            "expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name);"
            "INSERT INTO log VALUES ('002');",
            "expand/003_log.sql": "INSERT INTO log VALUES ('003')",
            "expand/004_index.sql": "CREATE INDEX CONCURRENTLY users_low ON users (lower(name))",
        }
    )
    runners = [start_runner(shop, folder) for _ in range(4)]

    assert [runner.end() for runner in runners] == ["", "", "", ""]
    assert [runner.process.returncode for runner in runners] == [0, 0, 0, 0]
    assert shop.rows("SELECT migration FROM log ORDER BY 1") == [("002",), ("003",)]
    assert {found.state for found in migrate.status(shop.owner, folder)} == {"applied"}
    hows = shop.rows("SELECT DISTINCT how FROM changeover.statement")
    assert hows == [("executed",)]


def test_a_second_runner_is_told_who_is_at_work(users: Shop, release: Release) -> None:
    folder = release({"expand/002_city.sql": ALTER})
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(users):
            first = pool.submit(migrate.apply, users.owner, folder)
            until(lambda: users.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
            with pytest.raises(failures.RunnerBusy, match="another runner is migrating") as caught:
                migrate.apply(users.owner, folder, deadline_seconds=0.3)
        assert first.result().done
    assert caught.value.exit_code == 5
    assert f"of {users.owner.user} from 127.0.0.1" in str(caught.value.cause)


def test_an_older_deployment_is_refused(users: Shop, release: Release) -> None:
    folder = release({"expand/002_city.sql": ALTER})
    migrate.apply(users.owner, folder, fence=7)

    with pytest.raises(failures.RunnerFenced, match=r"number 7\) than this one \(6\)"):
        migrate.apply(users.owner, folder, fence=6)

    assert migrate.apply(users.owner, folder, fence=7).done == ()
    assert migrate.apply(users.owner, folder).done == ()
    assert users.value("SELECT number FROM changeover.fence") == 7


def test_a_runner_that_was_overtaken_stops(users: Shop, release: Release) -> None:
    folder = release({"expand/002_city.sql": ALTER, "expand/003_next.sql": "CREATE TABLE next ()"})

    def overtake(event: dict[str, object]) -> None:
        if event["type"] == "migration-applied":
            users.rows("UPDATE changeover.fence SET runner = 'another one'")

    with pytest.raises(failures.RunnerFenced):
        migrate.apply(users.owner, folder, report=overtake)

    assert users.value("SELECT to_regclass('next')") is None


def test_a_runner_that_lost_its_lock_writes_nothing_more(users: Shop, release: Release) -> None:
    folder = release({"expand/002_slow.sql": "SELECT pg_sleep(600)"})
    with ThreadPoolExecutor(1) as pool:
        runner = pool.submit(migrate.apply, users.owner, folder, deadline_seconds=60)
        until(lambda: users.rows("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"))
        users.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'changeover migrate lock' AND datname = current_database()"
        )
        with pytest.raises(failures.RunnerLockLost):
            runner.result()

    assert [found.state for found in migrate.status(users.owner, folder)] == ["applied", "pending"]


def test_a_deadlock_with_the_app_is_retried(users: Shop, release: Release) -> None:
    users.rows("CREATE TABLE orders (id int); GRANT ALL ON orders TO public;")
    users.rows(f"ALTER TABLE orders OWNER TO {users.owner.user}")
    text = f"LOCK TABLE users; {UNTIL_THE_APP_WAITS}; LOCK TABLE orders;"
    with session(users.admin, autocommit=False) as app, ThreadPoolExecutor(1) as pool:
        app.execute("SET deadlock_timeout = '60s'")
        app.execute("LOCK TABLE orders")
        runner = pool.submit(
            migrate.apply,
            users.owner,
            release({"expand/002_both.sql": text}),
            lock_timeout_milliseconds=20_000,
        )
        until(lambda: users.rows(LOCKED_BY_THE_RUNNER))
        app.execute("SELECT * FROM users")
        app.commit()
        outcome = runner.result()

    assert outcome.retries == 1
    assert outcome.done == ("1.0.0/expand/002_both",)
