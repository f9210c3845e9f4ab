"""Call a migration off that goes chunk by chunk: what was copied is taken away, chunk by chunk too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import unfinished
from .chunks import alone
from .migration import prepare
from .moving import CHUNK
from .outcome import Refused

if TYPE_CHECKING:
    import uuid

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

# Whoever has seen that progress is to be carried is done once this is had.
HOLD = "SELECT 1 FROM onboarding_steps WHERE step_id = %s AND version = %s FOR UPDATE"
LEAVE = """
    UPDATE step_migrations SET state = 'leaving', correlation_id = %s
    WHERE step_id = %s AND to_version = %s"""
REMOVE = """
    WITH piece AS MATERIALIZED (
        SELECT user_id FROM onboarding_progress
        WHERE step_id = %(step)s AND version = %(after)s AND user_id > %(reached)s
        ORDER BY user_id LIMIT %(size)s
    ), removed AS (
        DELETE FROM onboarding_progress p USING piece
        WHERE p.user_id = piece.user_id AND p.step_id = %(step)s AND p.version = %(after)s
    )
    SELECT count(*), max(user_id) FROM piece"""
FORGET = (
    "DELETE FROM step_migration_changes WHERE step_id = %s AND to_version = %s",
    "DELETE FROM step_migrations WHERE step_id = %s AND to_version = %s",
    "DELETE FROM onboarding_steps WHERE step_id = %s AND version = %s",
)


def call_off(
    connection: Connection, step: str, correlation: uuid.UUID, *, size: int = CHUNK
) -> dict[str, Any] | None:
    """Take an unfinished migration back; return which it was, ``None`` where there is none.

    One that was interrupted goes on when it is asked for again.

    Raises:
        Refused: Users are on the new version already.
    """
    with connection.transaction():
        prepare(connection)
        row = unfinished.of(connection, step, lock=" FOR UPDATE")
        if row is None:
            return None
        if row.state == unfinished.RECALCULATING:
            raise Refused(f"users are on the new version already: {row.told()}")
        connection.execute(HOLD, [step, row.before])
        connection.execute(LEAVE, [correlation, step, row.after])
    removed, count, reached = 0, size, ""
    with alone(connection, step, correlation):
        while count == size:
            with connection.transaction():
                prepare(connection)
                about = {"step": step, "after": row.after, "reached": reached, "size": size}
                found = connection.execute(REMOVE, about, prepare=False).fetchone() or (0, None)
                count, reached = found[0], found[1] or reached
            removed += count
        with connection.transaction():
            for statement in FORGET:
                connection.execute(statement, [step, row.after])
    return {
        "stepId": step,
        "fromVersion": row.before,
        "toVersion": row.after,
        "progressRemoved": removed,
    }
