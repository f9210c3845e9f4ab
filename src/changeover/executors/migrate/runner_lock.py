"""One runner a database: a polled session lock, and the end of whoever held it before.

A waiting ``pg_advisory_lock`` holds a snapshot and so deadlocks with a concurrent index build; this
one is tried, and between two tries nothing is held.
"""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate.failures import RunnerBusy
from changeover.executors.migrate.server import facts
from changeover.executors.migrate.session import LOCK, WORK, answering, connect, row, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.database import Database
    from changeover.executors.migrate.deadline import Deadline
    from changeover.executors.migrate.session import Connection

KEY = 0x6368616E67656F76  # "changeov" in ASCII: a number nobody else picks by chance
POLL_SECONDS = 0.1
GRACE_SECONDS = 60.0  # after the deadline, for what is cancelled or rolled back then
HOLDER = """
    SELECT activity.pid, activity.usename, coalesce(host(activity.client_addr), 'local'),
           extract(epoch FROM clock_timestamp() - activity.backend_start)
    FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (held.classid::bigint << 32 | held.objid::bigint) = %s
"""
LEFT_BEHIND = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name = %s AND datname = current_database() AND usename = current_user
"""


@contextlib.contextmanager
def runner_lock(database: Database, deadline: Deadline) -> Iterator[Connection]:
    """Hold the runner lock on a session of its own and give that session.

    Sessions that an earlier runner left at work are ended: whoever holds the lock is the only one.

    Raises:
        RunnerBusy: Another runner still held it at the deadline.
        PoolerBetween: A session lock would not hold; also the other refusals of `server.facts`.
    """
    with (
        connect(database, LOCK) as connection,
        answering(connection, deadline.remaining + GRACE_SECONDS),
    ):
        facts(connection, database)
        _acquire(connection, database, deadline)
        _end_left_behind(connection, database, deadline)
        yield connection


def _acquire(connection: Connection, database: Database, deadline: Deadline) -> None:
    while True:
        found = row(connection, "SELECT pg_try_advisory_lock(%s)", (KEY,))
        if found and found[0]:
            return
        if deadline.passed:
            raise _busy(connection, database)
        time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - spreads runners in time


def _busy(connection: Connection, database: Database) -> RunnerBusy:
    holders = [
        f"pid {pid} of {user} from {address}, connected for {age:.0f} s"
        for pid, user, address, age in rows(connection, HOLDER, (KEY,))
    ]
    return RunnerBusy(
        f"another runner is migrating {database.name}",
        host=database.shown_host,
        cause="; ".join(holders) or None,
        hint="let it finish, then run the same command again",
    )


def _end_left_behind(connection: Connection, database: Database, deadline: Deadline) -> None:
    while left := [pid for (pid,) in rows(connection, LEFT_BEHIND, (WORK,))]:
        for pid in left:
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                row(connection, "SELECT pg_terminate_backend(%s)", (pid,))
        if deadline.passed:
            raise _busy(connection, database)
        time.sleep(0.02)
