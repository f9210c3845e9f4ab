"""Put a restored database in the live one's place, and find out how far an earlier try got.

A database that accepts connections is entered again faster than it can be renamed, so the gate is
closed first. Who was let in before that holds the server's lock on the database until the server
shows the session to others, so a look at the locks and then at the sessions misses nobody. Only
those are thrown out and waited for: who comes later is turned away at the gate.

Both renames are one transaction. The whole swap is one script in a process of its own that does not
end with the agent and holds the store's lock: killing the agent in the middle neither leaves the
gate closed nor lets a second agent in. If that process, its session or the server dies instead, the
agent opens the gate in a session of its own, and what the catalog says about the recorded object ids
tells which database is which. Where both die, whoever asks next about the app's backups opens it.
"""

# ruff: noqa: S608 - names in statements are quoted

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.backup import gate
from changeover.agent.backup.store import read_sealed, write_sealed
from changeover.agent.failure import ActionError
from changeover.agent.postgres import tools
from changeover.agent.postgres.tools import identifier, literal
from changeover.agent.system import durable

if TYPE_CHECKING:
    from changeover.agent.backup.store import Record, Store
    from changeover.agent.postgres.session import Session

RECORD = "restore.json"
SWAP_SECONDS = 60.0
# The server itself waits up to 5 s for whoever it still finds in a database that is renamed, such as
# a worker of its own; a new try throws them out sooner. All tries together end within 15 s.
PATIENCE_SECONDS = (0.5, 0.5, 1, 2, 6)
CLOSING = """
SET application_name = {session};
SET lock_timeout = '10s'; SET statement_timeout = '20s'; SET client_min_messages = error;
ALTER DATABASE {side} ALLOW_CONNECTIONS false;
SELECT extract(epoch FROM clock_timestamp());
ALTER DATABASE {live} ALLOW_CONNECTIONS false;
\\set over false
"""
TRY = """
\\if :over
\\else
SET statement_timeout = '20s';
DO $swap$ DECLARE
    databases oid[] := ARRAY(SELECT oid FROM pg_database WHERE datname IN ({live_text}, {side_text}));
    until timestamptz := clock_timestamp() + interval '1 s';
    starting integer[]; inside integer[]; known integer[];
BEGIN
LOOP
    -- the locks first: who lets go of one before the second look is shown by it
    starting := ARRAY(
        SELECT pid FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass
        AND objid = ANY (databases) AND pid <> pg_backend_pid());
    PERFORM pg_stat_clear_snapshot();
    inside := starting || ARRAY(
        SELECT pid FROM pg_stat_activity WHERE datid = ANY (databases) AND pid <> pg_backend_pid());
    known := ARRAY(
        SELECT unnest(inside) INTERSECT SELECT unnest(coalesce(known, inside)));
    PERFORM pg_terminate_backend(pid) FROM unnest(known) AS pid;
    EXIT WHEN known = '{{}}' OR clock_timestamp() > until;
    PERFORM pg_sleep(0.005);
END LOOP;
IF EXISTS (SELECT FROM pg_prepared_xacts WHERE database IN ({live_text}, {side_text})) THEN
    RAISE 'a prepared transaction keeps the database from being renamed';
END IF;
END $swap$;
\\set over :ERROR
\\endif
\\if :over
\\else
SET statement_timeout = '{patience}s';
BEGIN;
{renames}
COMMIT;
SELECT count(*) > 0 AS over FROM pg_database
WHERE datname = {live_text} AND oid = {side_oid} \\gset
\\endif
"""
OPENING = """
SET statement_timeout = '20s';
ALTER DATABASE {live} ALLOW_CONNECTIONS true;
SELECT extract(epoch FROM clock_timestamp());
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database
WHERE oid IN ({oids}) AND NOT datallowconn \\gexec
"""


def read(store: Store) -> Record | None:
    """Return the record of a swap that was begun and not concluded."""
    return read_sealed(store.root / RECORD, RECORD)


def begin(store: Store, record: Record) -> None:
    """Record a swap before it starts: names and object ids of both databases."""
    write_sealed(store.root / RECORD, record)


def conclude(store: Store) -> None:
    """Forget a swap that is over."""
    durable.remove(store.root / RECORD)


def swap(store: Store, session: Session, record: Record, lock: int) -> float | None:
    """Exchange the databases and return for how many seconds connections were refused.

    Args:
        store: The app's backups.
        session: A session in the maintenance database; it may end with the server meanwhile.
        record: As ``begin`` got it; forgotten where the exchange did not happen.
        lock: The descriptor of the store's lock.

    Returns:
        ``None`` where the exchange happened and its process died before it told the moments.

    Raises:
        ActionError: ``swap-failed``; the live database is the one before, and accepts connections.
            ``swap-unknown`` where the server answers nobody, so that this cannot be told.
    """
    refused, said = _exchange(store, session, record, lock)
    try:
        with gate.entered(store) as own:
            gate.end(own, record)
            gate.reopen(own, record)
            done = swapped(own, record)
            there = oid(own, record["live"]) is not None
    except ActionError as error:
        message = (
            f"whether {record['live']} was exchanged is not known, and it may refuse connections"
        )
        cause = "\n".join(filter(None, (said, error.cause or error.message)))
        raise ActionError("swap-unknown", message, cause=cause) from error
    if not done:
        if there:
            conclude(store)
        message = f"{record['live']} could not be exchanged; it is as it was and open"
        raise ActionError("swap-failed", message, cause=said)
    return refused


def _exchange(
    store: Store, session: Session, record: Record, lock: int
) -> tuple[float | None, str]:
    """Run the exchange in its process; return for how long the gate was shut, and what was said."""
    psql = store.server.program("psql", session.major)
    command = [psql, "-X", "-q", "-A", "-t", "-d", "postgres"]
    script = _script(session, record)
    with tools.Running(
        store.server, command, major=session.major, script=script, keep=(lock,)
    ) as running:
        try:
            moments = running.wait(SWAP_SECONDS).split()
        except ActionError as error:
            return None, "\n".join(filter(None, (error.message, error.cause)))
        said = running.said()
    if len(moments) != len(("closed", "opened")):
        return None, said
    closed, opened = map(float, moments)
    return opened - closed, said


def _script(session: Session, record: Record) -> str:
    live, side, failed = (identifier(record[name]) for name in ("live", "side", "failed"))
    renames = [f"ALTER DATABASE {side} RENAME TO {live};"]
    if oid(session, record["live"]) is not None:
        renames.insert(0, f"ALTER DATABASE {live} RENAME TO {failed};")
    words = {
        "live_text": literal(record["live"]),
        "side_text": literal(record["side"]),
        "side_oid": int(record["side_oid"]),
        "renames": "\n".join(renames),
    }
    tries = [TRY.format(**words, patience=patience) for patience in PATIENCE_SECONDS]
    return "".join(
        [
            CLOSING.format(live=live, side=side, session=literal(gate.session_name(record))),
            *tries,
            OPENING.format(live=live, oids=gate.oids(record)),
        ]
    )


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


def finish(store: Store, session: Session, record: Record, lock: int) -> bool:
    """Bring an interrupted swap to one of its two ends; tell whether the restored one is live.

    Where only the first rename happened, the second one is made: the live name is missing, and
    going on is shorter than going back.
    """
    if oid(session, record["live"]) is None and oid(session, record["side"]) == record["side_oid"]:
        swap(store, session, record, lock)
        return True
    gate.end(session, record)
    gate.reopen(session, record)
    return swapped(session, record)
