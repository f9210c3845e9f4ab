"""Take a step to a new version, in one transaction or not at all.

Users who make progress meanwhile lose nothing. Their transaction shares a lock on the version that is
active, and this one takes that lock alone: what they have written is copied, and who waits is then on
the new version. Percentages are made anew while no user's are being written, which a lock of the
whole app tells: both sides take it after that of the step.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import percentages, unfinished, versions
from .outcome import Outcome, counted

if TYPE_CHECKING:
    import uuid

    import psycopg

    from .wish import Wish

    Connection = psycopg.Connection[tuple[Any, ...]]

LOCK_TIMEOUT = "10s"
COUNTS = """
    SELECT count(*),
           count(*) FILTER (WHERE status = 'done'),
           count(*) FILTER (WHERE status NOT IN ('done', 'todo', 'skipped'))
    FROM onboarding_progress WHERE step_id = %(step)s AND version = %(before)s"""
COPY = """
    INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
    SELECT user_id, step_id, %(after)s,
           CASE status WHEN 'done' THEN 'done' ELSE 'todo' END,
           CASE status WHEN 'done' THEN completed_at END
    FROM onboarding_progress WHERE step_id = %(step)s AND version = %(before)s"""
DONE = """
    SELECT users_affected, progress_copied, progress_reset, warnings FROM step_migrations
    WHERE step_id = %s AND to_version = %s AND correlation_id = %s AND state = 'done'"""


def foresee(connection: Connection, wish: Wish) -> Outcome:
    """Return what a migration would do, or will have done; nothing is written.

    Raises:
        Refused: It would be refused.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = unfinished.of(connection, wish.step)
        if row is None or not row.is_of(wish) or row.state == unfinished.LEAVING:
            versions.wanted(connection, wish, lock="")
        elif row.state == unfinished.RECALCULATING:
            return counted(wish, row.users, row.copied, row.invalid)
        return _outcome(connection, wish)


def migrate(connection: Connection, wish: Wish, correlation: uuid.UUID, asked_by: str) -> Outcome:
    """Do a migration; one that this very request has done already is told as it was.

    Raises:
        Refused: Nothing was written.
    """
    with connection.transaction():
        prepare(connection)
        if outcome := done(connection, wish, correlation):
            return outcome
        step = versions.wanted(connection, wish, lock=" FOR UPDATE")
        outcome = _outcome(connection, wish)
        values = {**step, **wish.changes}
        versions.end(connection, wish)
        versions.create(connection, wish, values, waits=False)
        connection.execute(COPY, {"step": wish.step, "before": wish.before, "after": wish.after})
        if percentages.change(step, values):
            percentages.of_all(connection, wish.step, correlation)
        _tell(connection, wish, outcome, correlation, asked_by)
        return outcome


def prepare(connection: Connection) -> None:
    """Have a transaction see what others commit, wait for no lock for long, and copy by itself."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('onboarding.copies', 'on', true)",
        [LOCK_TIMEOUT],
    )


def done(connection: Connection, wish: Wish, correlation: uuid.UUID) -> Outcome | None:
    """Return what this very request has done already."""
    found = connection.execute(DONE, [wish.step, wish.after, correlation]).fetchone()
    if found is None:
        return None
    users, copied, reset, warnings = found
    return Outcome(users=users, copied=copied, reset=reset, warnings=tuple(warnings))


def announce(connection: Connection, wish: Wish, outcome: Outcome, correlation: uuid.UUID) -> None:
    """Write what became of it where analytics find it."""
    told = {**wish.as_json(), **outcome.as_json(), "correlationId": str(correlation)}
    connection.execute(
        "INSERT INTO outbox (kind, payload) VALUES ('onboarding.step_migrated', %s)",
        [json.dumps(told)],
    )


def _outcome(connection: Connection, wish: Wish) -> Outcome:
    about = {"step": wish.step, "before": wish.before}
    users, copied, invalid = connection.execute(COUNTS, about).fetchone() or (0, 0, 0)
    return counted(wish, users, copied, invalid)


def _tell(
    connection: Connection, wish: Wish, outcome: Outcome, correlation: uuid.UUID, asked_by: str
) -> None:
    """Write what became of it where a retry and analytics find it."""
    connection.execute(
        """INSERT INTO step_migrations (correlation_id, step_id, from_version, to_version,
            users_affected, progress_copied, progress_reset, warnings, asked_by)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            correlation,
            wish.step,
            wish.before,
            wish.after,
            outcome.users,
            outcome.copied,
            outcome.reset,
            list(outcome.warnings),
            asked_by,
        ],
    )
    announce(connection, wish, outcome, correlation)
