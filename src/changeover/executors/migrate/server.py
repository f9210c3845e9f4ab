"""Ask a server what it is, and refuse the ones that migrations cannot be trusted to."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from changeover.executors.migrate.failures import PoolerBetween, ServerIsStandby, ServerTooOld
from changeover.executors.migrate.session import LOOK, connect, row

if TYPE_CHECKING:
    from changeover.database import Database
    from changeover.executors.migrate.session import Connection

# An older one does not drop a database that somebody is in, which a proof of a backup does.
OLDEST = 130000
FACTS = """
    SELECT current_setting('server_version'),
           pg_is_in_recovery(),
           coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
           pg_database_size(current_database()),
           pg_size_bytes(current_setting('max_wal_size')),
           pg_backend_pid(),
           (SELECT format('%s is not taken, and nothing since %s UTC', last_failed_wal, to_char(coalesce(
                last_archived_time, stats_reset) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
            FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'
                AND last_failed_time > coalesce(last_archived_time, '-infinity'))
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself.

    Args:
        version: As it prints it, such as ``15.8 (Debian 15.8-0+deb12u1)``.
        number: The same as a number, such as 150008.
        primary: Whether it takes writes.
        ssl: Whether this session is encrypted by the server itself.
        size_bytes: Size of the database.
        log_bytes: How much log the server keeps, about, before it writes over it.
        unarchived: Which file of its log the archive does not take, and since when; ``None`` where all
            is taken or nothing is archived.
    """

    version: str
    number: int
    primary: bool
    ssl: bool
    size_bytes: int
    log_bytes: int
    unarchived: str | None = None


def probe(database: Database) -> ServerFacts:
    """Connect once and return what the server is.

    Raises:
        DatabaseUnreachable: Nobody answers.
        DatabaseRefused: Wrong password, unknown database or role, or no line in pg_hba.conf.
        ServerTooOld: Older than PostgreSQL 13.
        ServerIsStandby: It is read-only.
        PoolerBetween: A pooler answers in its place.
    """
    with connect(database, LOOK) as connection:
        return facts(connection, database)


def facts(connection: Connection, database: Database) -> ServerFacts:
    """Return what the server at the other end of ``connection`` is; raises as `probe` does."""
    found = row(connection, FACTS)
    again = row(connection, "SELECT pg_backend_pid()")
    if found is None or again is None:
        raise AssertionError
    version, standby, ssl, size, log, process, unarchived = found
    number = connection.info.server_version
    where = f"{database.name} on {database.shown_host}"
    # A pooler hands out a cancel key of its own, so the process it announced is not the one at work.
    if {process, again[0]} != {connection.info.backend_pid}:
        raise PoolerBetween(
            f"a connection pooler answers for {where}",
            host=database.shown_host,
            cause=f"announced process {connection.info.backend_pid}, working {process}, {again[0]}",
            hint="give the inventory the server's own port: a session lock does not survive a pooler",
        )
    if number < OLDEST:
        raise ServerTooOld(
            f"{where} runs PostgreSQL {version}; {OLDEST // 10000} is the oldest that works",
            host=database.shown_host,
            hint="upgrade the server first",
        )
    if standby:
        raise ServerIsStandby(
            f"{where} is a standby",
            host=database.shown_host,
            hint="point the inventory's db group at the primary",
        )
    return ServerFacts(
        version=version,
        number=number,
        primary=True,
        ssl=ssl,
        size_bytes=size,
        log_bytes=log,
        unarchived=unarchived,
    )
