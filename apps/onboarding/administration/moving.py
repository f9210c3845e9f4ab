"""Take a step to a new version: in one transaction, or chunk by chunk where that would be too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import chunks, migration, percentages, unfinished

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    import psycopg

    from .outcome import Outcome
    from .wish import Wish

    Connection = psycopg.Connection[tuple[Any, ...]]

# More users than this do not wait for one transaction, unless it is asked for.
MOST_AT_ONCE = 100_000
CHUNK = 10_000
AT_STEP = """
    SELECT EXISTS (SELECT FROM onboarding_progress WHERE step_id = %s AND version = %s OFFSET %s)"""
OF_APP = "SELECT EXISTS (SELECT FROM onboarding_users OFFSET %s)"


def quiet(_passed: int, _total: int) -> None:
    """Hear nothing."""


def move(
    connection: Connection,
    wish: Wish,
    correlation: uuid.UUID,
    asked_by: str,
    *,
    hear: Callable[[int, int], None] = quiet,
) -> Outcome:
    """Do what is asked for, or foresee it where it is a dry run.

    What this very request has done already is told as it was. A migration that was begun chunk by chunk,
    by whomever, is gone on with.

    Args:
        connection: The database; for this alone until it ends, in no transaction.
        wish: What is asked for.
        correlation: The request; each of its retries has the same.
        asked_by: Who asks.
        hear: Hears, chunk by chunk, how many users were passed, and of how many.

    Raises:
        Refused: It cannot be done as it is asked for.
    """
    if wish.dry_run:
        return migration.foresee(connection, wish)
    if size := _chunk(connection, wish):
        return chunks.migrate(connection, wish, correlation, asked_by, size=size, hear=hear)
    return migration.migrate(connection, wish, correlation, asked_by)


def _chunk(connection: Connection, wish: Wish) -> int:
    """Return how many users a transaction takes; 0 where one takes all."""
    with connection.transaction():
        if unfinished.of(connection, wish.step) is not None:
            return wish.chunk or CHUNK
        if wish.chunk is not None:
            return wish.chunk
        asked: list[tuple[str, list[object]]] = [(AT_STEP, [wish.step, wish.before, MOST_AT_ONCE])]
        if any(name in wish.changes for name in percentages.COUNT_IN):
            asked.append((OF_APP, [MOST_AT_ONCE]))
        found = [connection.execute(one.encode(), some).fetchone() for one, some in asked]
    return CHUNK if any(each and each[0] for each in found) else 0
