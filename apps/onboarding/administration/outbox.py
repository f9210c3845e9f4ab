"""The events that wait in the outbox: whose turn it is, and that they are gone once they were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .history import stamp

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.AsyncConnection[tuple[Any, ...]]

MOST_EVENTS = 200
# A sender that is gone with its host holds no step longer than that.
IDLE_TIMEOUT = "60s"
# Who locks a step's first event has the step; who finds it locked takes another one. The steps are
# looked up one after the other by the index, so a step of many events costs as much as one of few.
TURN = """
    WITH RECURSIVE first (step_id, id) AS (
        (SELECT step_id, id FROM outbox ORDER BY step_id, id LIMIT 1)
        UNION ALL
        SELECT next.step_id, next.id
        FROM first CROSS JOIN LATERAL (
            SELECT step_id, id FROM outbox WHERE step_id > first.step_id
            ORDER BY step_id, id LIMIT 1
        ) next
    )
    SELECT step_id FROM outbox
    WHERE id IN (SELECT id FROM first) AND step_id <> ALL (%s)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"""
NEXT = """
    SELECT id, event_id, kind, payload, created_at FROM outbox
    WHERE step_id = %s ORDER BY id LIMIT %s FOR UPDATE"""
GONE = "DELETE FROM outbox WHERE id = ANY (%s)"
WAITING = "SELECT count(*), min(created_at) FROM outbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events of one step, oldest first.

    Args:
        step: The step's id.
        ids: Where they wait.
        events: What is sent of each.
    """

    step: str
    ids: Sequence[int]
    events: Sequence[dict[str, object]]


async def take(connection: Connection, held: Sequence[str]) -> Batch | None:
    """Return what is next, locked until the transaction ends; ``None`` where nothing is.

    Args:
        connection: In a transaction.
        held: Steps whose turn it is not.
    """
    await connection.execute(
        "SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [IDLE_TIMEOUT]
    )
    found = await (await connection.execute(TURN, [list(held)])).fetchone()
    if found is None:
        return None
    (step,) = found
    rows = await (await connection.execute(NEXT, [step, MOST_EVENTS])).fetchall()
    events = [
        {"id": str(event), "type": kind, "at": stamp(at), "data": payload}
        for _, event, kind, payload, at in rows
    ]
    return Batch(step=step, ids=[row[0] for row in rows], events=events)


async def remove(connection: Connection, batch: Batch) -> None:
    """Take events out that a receiver has."""
    await connection.execute(GONE, [list(batch.ids)])


async def waiting(connection: Connection) -> tuple[int, dt.datetime | None]:
    """Return how many events wait, and since when the oldest one does."""
    found = await (await connection.execute(WAITING)).fetchone()
    return found if found is not None else (0, None)
