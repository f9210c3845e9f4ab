"""The gate of the databases of an exchange: shut by it, and opened again by whoever finds it shut."""

# ruff: noqa: S608 - names in statements are quoted

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from changeover.agent.backup import side_database
from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import BEAT_SECONDS, identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.agent.backup.store import Record, Store

# A server that crashed reads the log since its last checkpoint before it lets anybody in.
SERVER_SECONDS = 300.0
# Longer than the longest statement of an exchange.
ENDED_SECONDS = 30.0
POLL_SECONDS = 0.1


def session_name(record: Record) -> str:
    """Return the name under which the server shows the session of an exchange."""
    return f"changeover swap {int(record['side_oid'])}"


@contextlib.contextmanager
def entered(store: Store) -> Iterator[Session]:
    """Give a new session in the maintenance database, as soon as the server lets one in.

    Raises:
        ActionError: ``query-failed`` where it lets nobody in within ``SERVER_SECONDS``.
    """
    begun = said = time.monotonic()
    with contextlib.ExitStack() as stack:
        while True:
            try:
                session = stack.enter_context(Session(store.server, side_database.MAINTENANCE))
                break
            except ActionError:
                now = time.monotonic()
                if now - begun > SERVER_SECONDS:
                    raise
            if now - said > BEAT_SECONDS:
                store.server.say("waiting for the server to let anybody in")
                said = now
            time.sleep(POLL_SECONDS)
        yield session


def end(session: Session, record: Record) -> None:
    """End what is left of an exchange's own session: the server finishes a statement without its client.

    Raises:
        ActionError: ``query-slow`` where it does not end.
    """
    others = f"application_name = {literal(session_name(record))} AND pid <> pg_backend_pid()"
    end_them = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    until = time.monotonic() + ENDED_SECONDS
    while session.rows(end_them):
        if time.monotonic() > until:
            raise ActionError("query-slow", "the session of the exchange does not end")
        time.sleep(POLL_SECONDS)


def reopen(session: Session, record: Record) -> None:
    """Let connections into every database of an exchange again, by whatever name it has now."""
    closed = f"SELECT datname FROM pg_database WHERE oid IN ({oids(record)}) AND NOT datallowconn"
    for row in session.rows(closed):
        session.run(f"ALTER DATABASE {identifier(row['datname'])} ALLOW_CONNECTIONS true")


def oids(record: Record) -> str:
    """Return the object ids of the databases of an exchange, for a list in SQL."""
    return f"{int(record['side_oid'])}, {int(record['live_oid'] or 0)}"
