"""Put a restored database in the live one's place, and find out how far an earlier try got.

A database that accepts connections is entered again faster than it can be renamed, so the gate is
closed first. Both renames are one transaction. The whole swap is one script in a process of its own
that does not end with the agent and holds the store's lock: killing the agent in the middle neither
leaves the gate closed nor lets a second agent in. If that process or the server dies instead, what
the catalog says about the recorded object ids tells which database is which.
"""

# ruff: noqa: S608 - names in statements are quoted

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent import backup_store, durable, postgres_tools
from changeover.agent.failure import ActionError
from changeover.agent.postgres_tools import identifier, literal

if TYPE_CHECKING:
    from changeover.agent.backup_store import Record, Store
    from changeover.agent.postgres_session import Session

RECORD = "restore.json"
SWAP_SECONDS = 60.0
SCRIPT = """
SET lock_timeout = '10s'; SET statement_timeout = '20s';
SELECT extract(epoch FROM clock_timestamp());
ALTER DATABASE {live} ALLOW_CONNECTIONS false;
ALTER DATABASE {side} ALLOW_CONNECTIONS false;
DO $swap$ DECLARE until timestamptz := clock_timestamp() + interval '10 s'; quiet integer := 0;
BEGIN
LOOP
    PERFORM pg_stat_clear_snapshot();
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname IN ({live_text}, {side_text}) AND pid <> pg_backend_pid();
    -- a session that was let in before the gate closed may show itself only at a later look
    quiet := CASE WHEN FOUND THEN 0 ELSE quiet + 1 END;
    EXIT WHEN quiet > 2 OR clock_timestamp() > until;
    PERFORM pg_sleep(0.01);
END LOOP;
END $swap$;
BEGIN;
{renames}
COMMIT;
ALTER DATABASE {live} ALLOW_CONNECTIONS true;
SELECT extract(epoch FROM clock_timestamp());
ALTER DATABASE {other} ALLOW_CONNECTIONS true;
"""


def read(store: Store) -> Record | None:
    """Return the record of a swap that was begun and not concluded."""
    return backup_store.read_sealed(store.root / RECORD, RECORD)


def begin(store: Store, record: Record) -> None:
    """Record a swap before it starts: names and object ids of both databases."""
    backup_store.write_sealed(store.root / RECORD, record)


def conclude(store: Store) -> None:
    """Forget a swap that is over."""
    durable.remove(store.root / RECORD)


def swap(store: Store, session: Session, record: Record, lock: int) -> float:
    """Exchange the databases and return for how many seconds connections were refused.

    Args:
        store: The app's backups.
        session: A session in the maintenance database.
        record: As ``begin`` got it.
        lock: The descriptor of the store's lock.

    Raises:
        ActionError: ``swap-failed``; the live database is the one before, and accepts connections.
    """
    live, side, failed = (identifier(record[name]) for name in ("live", "side", "failed"))
    renames = [f"ALTER DATABASE {side} RENAME TO {live};"]
    if oid(session, record["live"]) is not None:
        renames.insert(0, f"ALTER DATABASE {live} RENAME TO {failed};")
    script = SCRIPT.format(
        live=live,
        side=side,
        other=failed,
        live_text=literal(record["live"]),
        side_text=literal(record["side"]),
        renames="\n".join(renames),
    )
    psql = store.server.program("psql", session.major)
    command = [psql, "-X", "-q", "-A", "-t", "-d", "postgres"]
    with postgres_tools.Running(
        store.server, command, major=session.major, script=script, keep=(lock,)
    ) as running:
        answers = running.wait(SWAP_SECONDS)
        said = running.said()
    if not swapped(session, record):
        reopen(session, record)
        message = f"{record['live']} could not be exchanged; it is as it was and open"
        raise ActionError("swap-failed", message, cause=said)
    closed, opened = map(float, answers.split())
    return opened - closed


def oid(session: Session, database: str) -> int | None:
    """Return a database's object id, or ``None`` when there is no such database."""
    query = f"SELECT oid::bigint AS oid FROM pg_database WHERE datname = {literal(database)}"
    found = session.rows(query)
    return int(found[0]["oid"]) if found else None


def name_of(session: Session, number: int | None) -> str | None:
    """Return the name that a database has now, or ``None`` when it is gone."""
    found = session.rows(f"SELECT datname AS name FROM pg_database WHERE oid = {number or 0}")
    return str(found[0]["name"]) if found else None


def swapped(session: Session, record: Record) -> bool:
    """Tell whether the live name belongs to the restored database."""
    return oid(session, record["live"]) == int(record["side_oid"])


def reopen(session: Session, record: Record) -> None:
    """Let connections into every database of a swap again, by whatever name it has now."""
    oids = f"{int(record['side_oid'])}, {int(record['live_oid'] or 0)}"
    closed = f"SELECT datname FROM pg_database WHERE oid IN ({oids}) AND NOT datallowconn"
    for row in session.rows(closed):
        session.run(f"ALTER DATABASE {identifier(row['datname'])} ALLOW_CONNECTIONS true")


def finish(store: Store, session: Session, record: Record, lock: int) -> bool:
    """Bring an interrupted swap to one of its two ends; tell whether the restored one is live.

    Where only the first rename happened, the second one is made: the live name is missing, and
    going on is shorter than going back.
    """
    if oid(session, record["live"]) is None and oid(session, record["side"]) == record["side_oid"]:
        swap(store, session, record, lock)
    reopen(session, record)
    return swapped(session, record)
