"""Open a session on the server, guarded so that it neither outlives its client nor waits for ever."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import psycopg

from changeover.executors.migrate.entry import enter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.database import Database

    Connection = psycopg.Connection[tuple[Any, ...]]
    Row = tuple[Any, ...]

# psycopg logs what it could not end properly on a session that is gone. The failure itself is raised
# and told; without a handler the log would be written to the user's terminal beside it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

WORK = "changeover migrate work"
LOCK = "changeover migrate lock"
LOOK = "changeover look"
CONNECTION_CHECK_SINCE = 140000
# More than the guards below let a statement take: only a server that stands still needs longer.
ANSWER_SECONDS = 40.0
# A policy that hides rows from us is an error: a backfill would leave them out, and a query that has to
# be true would be true of the others. Batches and retries need to see what was committed meanwhile,
# whatever isolation the database has by default.
GUARDS = """
    SELECT set_config('row_security', 'off', false),
           set_config('default_transaction_isolation', 'read committed', false),
           set_config('tcp_keepalives_idle', '5', false),
           set_config('tcp_keepalives_interval', '2', false),
           set_config('tcp_keepalives_count', '3', false),
           set_config('lock_timeout', '1s', false),
           set_config('statement_timeout', '30s', false),
           set_config('idle_in_transaction_session_timeout', '10s', false)
"""


def connect(database: Database, application: str) -> Connection:
    """Open an autocommit session whose work ends within a second of its client's death.

    Raises what `entry.enter` does.
    """
    connection = enter(database, application)
    with answering(connection, ANSWER_SECONDS):
        guard(connection)
    return connection


def guard(connection: Connection) -> None:
    """Bring every setting of the session to ours, whatever SQL files have set."""
    connection.execute("RESET ALL")
    connection.execute(GUARDS)
    if connection.info.server_version >= CONNECTION_CHECK_SINCE:
        connection.execute("SET client_connection_check_interval = '1s'")


@contextlib.contextmanager
def answering(connection: Connection, seconds: float) -> Iterator[None]:
    """Break the session off when what is done with it has not ended after ``seconds``.

    Limits that the server keeps do not help against a server that stands still, and a tunnel's near
    end answers keepalives for it. Whoever waits on the session then gets an OperationalError.
    """
    timer = threading.Timer(seconds, break_off, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def break_off(connection: Connection) -> None:
    """End a session from another thread than the one that waits on it."""
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)


def row(connection: Connection, query: str, values: Sequence[object] = ()) -> Row | None:
    """Return the first row of a query, or None."""
    return connection.execute(query.encode(), values or None).fetchone()


def rows(connection: Connection, query: str, values: Sequence[object] = ()) -> list[Row]:
    """Return all rows of a query."""
    return connection.execute(query.encode(), values or None).fetchall()
