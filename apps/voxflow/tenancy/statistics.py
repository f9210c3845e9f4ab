"""What PostgreSQL says of itself, as far as the app's role may see it.

It sees its own sessions, those of every app host, in full. Of other roles' sessions it sees that they are
there, and the locks that they wait for; not what they do, nor since when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from voxflow.database import one

if TYPE_CHECKING:
    from voxflow.database import Connection

# Beside the session that asks.
SESSIONS = """
    SELECT count(*) FILTER (WHERE state = 'active') AS active_connections,
        count(*) FILTER (WHERE starts_with(state, 'idle')) AS idle_connections,
        greatest(0, extract(epoch FROM max(clock_timestamp() - query_start)
            FILTER (WHERE state = 'active')))::float8 AS longest_query_seconds,
        greatest(0, extract(epoch FROM max(clock_timestamp() - xact_start)
            FILTER (WHERE starts_with(state, 'idle in transaction'))))::float8 AS longest_idle_seconds
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"""
# A wait for a row names no database, so the session says which one.
WAITS = """
    SELECT count(DISTINCT pid) AS lock_waits FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database()"""
SERVER = """
    SELECT sum(numbackends)::bigint AS connections,
        current_setting('max_connections')::integer AS max_connections,
        pg_database_size(current_database()) AS database_bytes
    FROM pg_stat_database"""
BLOCKS = """
    SELECT (SELECT coalesce(sum(heap_blks_hit), 0)::bigint FROM pg_statio_user_tables) AS table_hits,
        (SELECT coalesce(sum(heap_blks_read), 0)::bigint FROM pg_statio_user_tables) AS table_reads,
        (SELECT coalesce(sum(idx_blks_hit), 0)::bigint FROM pg_statio_user_indexes) AS index_hits,
        (SELECT coalesce(sum(idx_blks_read), 0)::bigint FROM pg_statio_user_indexes) AS index_reads"""
TABLES = """
    SELECT relid::bigint, relname AS name, n_live_tup AS live, n_dead_tup AS dead
    FROM pg_stat_user_tables
    WHERE schemaname = current_schema() AND has_table_privilege(relid, 'SELECT')
    ORDER BY relname"""
# Who holds a table for itself lets nobody measure it; they are not waited for.
PATIENCE = "SELECT set_config('lock_timeout', '100ms', true)"
SIZE = "SELECT pg_total_relation_size(%s::oid) AS bytes"
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
STEP = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """The app's sessions, beside the one that asks.

    Args:
        active: How many are answering a query.
        idle: How many are not, those within a transaction among them.
        longest_query: For how many seconds the oldest query has been running.
        longest_idle: For how many seconds the oldest transaction is open whose session does nothing.
        waits: How many sessions of any role wait for a lock.
    """

    active: int
    idle: int
    longest_query: float
    longest_idle: float
    waits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server and its database.

    Args:
        connections: Sessions of all roles in all databases.
        max_connections: How many there may be.
        size: Bytes of the database.
    """

    connections: int
    max_connections: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks that were asked for since statistics began.

    Args:
        hits: Those that were in memory.
        reads: Those that were not.
    """

    hits: int
    reads: int

    @property
    def ratio(self) -> float | None:
        """How many percent were in memory; ``None`` where none was asked for."""
        asked = self.hits + self.reads
        return round(100 * self.hits / asked, 2) if asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the app.

    Args:
        name: Its name.
        key: By which PostgreSQL knows it.
        live: Rows, about.
        dead: Rows that are gone and not yet cleared away, about.
    """

    name: str
    key: int
    live: int
    dead: int


def sessions(connection: Connection) -> Sessions:
    """Return how the app's sessions are."""
    found = one(connection.execute(SESSIONS))
    return Sessions(
        active=found["active_connections"],
        idle=found["idle_connections"],
        longest_query=found["longest_query_seconds"],
        longest_idle=found["longest_idle_seconds"],
        waits=one(connection.execute(WAITS))["lock_waits"],
    )


def server(connection: Connection) -> Server:
    """Return how the server is."""
    found = one(connection.execute(SERVER))
    return Server(
        connections=found["connections"],
        max_connections=found["max_connections"],
        size=found["database_bytes"],
    )


def blocks(connection: Connection) -> tuple[Blocks, Blocks]:
    """Return the blocks of tables, and those of indexes."""
    found = one(connection.execute(BLOCKS))
    return (
        Blocks(hits=found["table_hits"], reads=found["table_reads"]),
        Blocks(hits=found["index_hits"], reads=found["index_reads"]),
    )


def tables(connection: Connection) -> list[Table]:
    """Return the app's tables, by name."""
    return [
        Table(name=row["name"], key=row["relid"], live=row["live"], dead=row["dead"])
        for row in connection.execute(TABLES)
    ]


def size(connection: Connection, table: Table) -> int | None:
    """Return the bytes of a table and its indexes; ``None`` while somebody has it for themselves."""
    try:
        with connection.transaction():
            connection.execute(PATIENCE)
            found: int | None = one(connection.execute(SIZE, [table.key]))["bytes"]
    except psycopg.errors.LockNotAvailable:
        return None
    return found


def told(amount: int) -> str:
    """Return bytes as people read them, as ``2.5GB``."""
    value = float(amount)
    for unit in UNITS[:-1]:
        if round(value, 1) < STEP:
            return f"{value:.1f}".removesuffix(".0") + unit
        value /= STEP
    return f"{value:.1f}".removesuffix(".0") + UNITS[-1]
