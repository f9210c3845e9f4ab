"""Take a step to a new version chunk by chunk: users wait for one chunk at the most.

The new version is there from the beginning, and active only at the end. What users write meanwhile on
the version before is carried over by their own transaction (`releases/2.0.0/migrations`), so a chunk
leaves alone what is there already. Each chunk is committed with how far it came: who asks for the same
again goes on from there, whatever was killed. A lock of the session that is at it tells whether it
lives.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg

from . import percentages, unfinished, versions
from .migration import announce, done, prepare
from .outcome import Outcome, Refused, counted

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

    from .unfinished import Unfinished
    from .wish import Wish

    Connection = psycopg.Connection[tuple[Any, ...]]
    Hear = Callable[[int, int], None]

CALLED_OFF = "it was called off meanwhile; what was copied is taken away again"
# A process or a host that is lost ends its session within seconds, whatever that is doing.
KEEP_ALIVE = """SELECT set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false),
    set_config('client_connection_check_interval', '2s', false)"""
COPY = """
    WITH piece AS MATERIALIZED (
        SELECT user_id, status, completed_at FROM onboarding_progress
        WHERE step_id = %(step)s AND version = %(before)s AND user_id > %(reached)s
        ORDER BY user_id LIMIT %(size)s
    ), copied AS (
        INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
        SELECT user_id, %(step)s, %(after)s, CASE status WHEN 'done' THEN 'done' ELSE 'todo' END,
               CASE status WHEN 'done' THEN completed_at END
        FROM piece
        ON CONFLICT (user_id, step_id, version) DO NOTHING
        RETURNING user_id
    ), counts AS (
        SELECT count(*) AS users,
               count(*) FILTER (WHERE status = 'done') AS copied,
               count(*) FILTER (WHERE status NOT IN ('done', 'todo', 'skipped')) AS invalid
        FROM copied JOIN piece USING (user_id)
    ), passed AS (
        SELECT count(*) AS users, max(user_id) AS last FROM piece
    )
    UPDATE step_migrations m SET
        users_affected = users_affected + c.users, progress_copied = progress_copied + c.copied,
        progress_reset = progress_reset + c.users - c.copied, invalid = m.invalid + c.invalid,
        reached = coalesce(p.last, reached), passed = passed + p.users
    FROM counts c, passed p WHERE m.step_id = %(step)s AND m.to_version = %(after)s
    RETURNING p.users"""
CHANGES = """
    WITH carried AS (
        DELETE FROM step_migration_changes WHERE step_id = %(step)s AND to_version = %(after)s
        RETURNING users, copied, invalid
    ), counts AS (
        SELECT coalesce(sum(users), 0) AS users, coalesce(sum(copied), 0) AS copied,
               coalesce(sum(invalid), 0) AS invalid FROM carried
    )
    UPDATE step_migrations m SET
        users_affected = users_affected + c.users, progress_copied = progress_copied + c.copied,
        progress_reset = progress_reset + c.users - c.copied, invalid = m.invalid + c.invalid
    FROM counts c WHERE m.step_id = %(step)s AND m.to_version = %(after)s
    RETURNING users_affected, progress_copied, m.invalid"""
SWITCHED = """
    UPDATE step_migrations SET state = 'recalculating', reached = '', warnings = %(warnings)s,
        total = passed + (SELECT count(*) FROM onboarding_users)
    WHERE step_id = %(step)s AND to_version = %(after)s"""
RECALCULATED = """
    UPDATE step_migrations SET reached = %(reached)s, passed = passed + %(users)s
    WHERE step_id = %(step)s AND to_version = %(after)s"""
FINISHED = """
    UPDATE step_migrations SET state = 'done', warnings = %(warnings)s, at = now()
    WHERE step_id = %(step)s AND to_version = %(after)s"""


def migrate(
    connection: Connection,
    wish: Wish,
    correlation: uuid.UUID,
    asked_by: str,
    *,
    size: int,
    hear: Hear,
) -> Outcome:
    """Do a migration or go on with it; one that this very request has done is told as it was.

    Args:
        connection: The database, for this alone until it ends.
        wish: What is asked for.
        correlation: The request.
        asked_by: Who asks.
        size: How many users a transaction takes at the most.
        hear: Hears after each chunk how many users were passed, and of how many.

    Raises:
        Refused: It cannot be done, somebody else is at it, or it was called off meanwhile.
    """
    with _transaction(connection):
        if outcome := done(connection, wish, correlation):
            return outcome
        if unfinished.of(connection, wish.step) is None:
            step = versions.wanted(connection, wish, lock=" FOR UPDATE")
            versions.create(connection, wish, {**step, **wish.changes}, waits=True)
            unfinished.begin(connection, wish, correlation, asked_by)
    with alone(connection, wish.step, correlation):
        _take_over(connection, wish, correlation)
        outcome, is_whole = None, False
        while outcome is None:
            with _transaction(connection):
                row = _held(connection, wish, correlation)
                hear(row.passed, max(row.passed, row.total))
                if row.state == unfinished.RECALCULATING:
                    outcome = _recalculate(connection, wish, row, size)
                elif is_whole:
                    outcome = _switch(connection, wish, correlation)
                else:
                    is_whole = _copy(connection, wish, row, size) < size
    return outcome


@contextlib.contextmanager
def alone(connection: Connection, step: str, correlation: uuid.UUID) -> Iterator[None]:
    """Be the only session that is at a step's migration.

    Raises:
        Refused: Another request is at it.
    """
    with _transaction(connection):
        connection.execute(KEEP_ALIVE)
        had = connection.execute(
            f"SELECT pg_try_advisory_lock({unfinished.ALONE})", [step]
        ).fetchone()
        row = unfinished.of(connection, step)
        if had is None or not had[0]:
            if row is not None and row.correlation != correlation:
                raise Refused(f"{row.told()}. Request {row.correlation} is at it right now")
            # A session of this request that was lost, and has not heard of it.
            connection.execute(f"SELECT pg_advisory_lock({unfinished.ALONE})", [step])
    try:
        yield
    finally:
        # A connection that is lost is not given back, and its session's locks go with it.
        with contextlib.suppress(psycopg.OperationalError), connection.transaction():
            connection.execute(f"SELECT pg_advisory_unlock({unfinished.ALONE})", [step])


@contextlib.contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    with connection.transaction():
        prepare(connection)
        yield


def _take_over(connection: Connection, wish: Wish, correlation: uuid.UUID) -> None:
    """Write that this request is at it now.

    Raises:
        Refused: What is under way is not what is asked for.
    """
    with _transaction(connection):
        row = unfinished.of(connection, wish.step, lock=" FOR UPDATE")
        if row is None:
            # Another request was quicker, and is done.
            versions.wanted(connection, wish, lock="")
            raise Refused(CALLED_OFF)
        if not row.is_of(wish) or row.state == unfinished.LEAVING:
            raise Refused(row.told())
        if names := versions.differing(connection, wish):
            raise Refused(f"{row.told()}. It was begun with another {', '.join(names)}")
        connection.execute(
            """UPDATE step_migrations SET correlation_id = %s
            WHERE step_id = %s AND to_version = %s""",
            [correlation, wish.step, wish.after],
        )


def _held(connection: Connection, wish: Wish, correlation: uuid.UUID) -> Unfinished:
    """Return the migration as it is, to be written in this transaction.

    Raises:
        Refused: It was called off.
    """
    row = unfinished.of(connection, wish.step, lock=" FOR UPDATE")
    if row is None or row.correlation != correlation or row.state == unfinished.LEAVING:
        raise Refused(CALLED_OFF)
    return row


def _copy(connection: Connection, wish: Wish, row: Unfinished, size: int) -> int:
    """Copy the progress of the next users; return how many they are."""
    about = {**_names(wish), "reached": row.reached, "size": size}
    # A plan for any size would read the users in another order than theirs, and sort them.
    found = connection.execute(COPY, about, prepare=False).fetchone()
    return int(found[0]) if found else 0


def _switch(connection: Connection, wish: Wish, correlation: uuid.UUID) -> Outcome | None:
    """Have the new version be active; return what the migration did where that was all."""
    before, after = versions.switch(connection, wish)
    counts = connection.execute(CHANGES, _names(wish)).fetchone() or (0, 0, 0)
    outcome = counted(wish, *map(int, counts))
    written = {**_names(wish), "warnings": list(outcome.warnings)}
    if not percentages.change(before, after):
        connection.execute(FINISHED, written)
        announce(connection, wish, outcome, correlation)
        return outcome
    # From here on, nobody writes a percentage of the version before.
    percentages.alone(connection)
    connection.execute(SWITCHED, written)
    return None


def _recalculate(connection: Connection, wish: Wish, row: Unfinished, size: int) -> Outcome | None:
    """Make the percentages of the next users anew; return what the migration did after the last."""
    users, reached = percentages.of_some(connection, wish.step, row.correlation, row.reached, size)
    connection.execute(RECALCULATED, {**_names(wish), "users": users, "reached": reached})
    if users == size:
        return None
    outcome = counted(wish, row.users, row.copied, row.invalid)
    connection.execute(FINISHED, {**_names(wish), "warnings": list(outcome.warnings)})
    announce(connection, wish, outcome, row.correlation)
    return outcome


def _names(wish: Wish) -> dict[str, object]:
    return {"step": wish.step, "before": wish.before, "after": wish.after}
