"""Take a step to a new version, in one transaction or not at all.

Users who make progress meanwhile lose nothing. Their transaction shares a lock on the version that is
active, and this one takes that lock alone: what they have written is copied, and who waits is then on
the new version. Percentages are made anew while no user's are being written, which a lock of the
whole app tells: both sides take it after that of the step.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onboarding.progress import PERCENTAGES
from psycopg.types.json import Jsonb

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
STEP = """
    SELECT active_to IS NULL, weight, role_visibility, title, description, required, market_rule
    FROM onboarding_steps WHERE step_id = %(step)s AND version = %(before)s"""
CREATE = """
    INSERT INTO onboarding_steps (step_id, version, title, description, required, weight,
                                  role_visibility, market_rule, active_from, active_to)
    SELECT step_id, %(after)s, %(title)s, %(description)s, %(required)s, %(weight)s,
           %(role_visibility)s, %(market_rule)s, now(), NULL
    FROM onboarding_steps WHERE step_id = %(step)s AND version = %(before)s"""
END = """
    UPDATE onboarding_steps SET active_to = now(), updated_at = now()
    WHERE step_id = %(step)s AND version = %(before)s"""
COPY = """
    INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
    SELECT user_id, step_id, %(after)s,
           CASE status WHEN 'done' THEN 'done' ELSE 'todo' END,
           CASE status WHEN 'done' THEN completed_at END
    FROM onboarding_progress WHERE step_id = %(step)s AND version = %(before)s"""
# A step that no role is named for is everybody's.
PERCENT = """
    WITH visible AS (
        SELECT roles.role, s.step_id, s.version, s.weight
        FROM (SELECT DISTINCT role FROM onboarding_users) roles
        JOIN onboarding_steps s ON s.active_to IS NULL
         AND (cardinality(s.role_visibility) = 0 OR roles.role = ANY (s.role_visibility))
    ), whole AS (
        SELECT role, sum(weight) AS weight FROM visible GROUP BY role
    ), reached AS (
        SELECT p.user_id, sum(v.weight) AS weight
        FROM onboarding_progress p
        JOIN onboarding_users u USING (user_id)
        JOIN visible v ON v.role = u.role AND v.step_id = p.step_id AND v.version = p.version
        WHERE p.status = 'done'
        GROUP BY p.user_id
    ), now_at AS (
        SELECT u.user_id,
               coalesce(round(100.0 * coalesce(r.weight, 0) / nullif(w.weight, 0)), 0)::smallint AS percent
        FROM onboarding_users u
        LEFT JOIN whole w USING (role)
        LEFT JOIN reached r USING (user_id)
    ), changed AS (
        UPDATE onboarding_users u SET percent = n.percent, updated_at = now()
        FROM now_at n WHERE n.user_id = u.user_id AND n.percent <> u.percent
        RETURNING u.user_id, u.percent
    )
    INSERT INTO outbox (kind, payload)
    SELECT 'onboarding.percent_changed',
           jsonb_build_object('userId', user_id, 'percent', percent,
                              'correlationId', %(correlation)s::text)
    FROM changed"""


class Refused(Exception):
    """The migration cannot be done as it is asked for; nothing was written."""

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a migration did, or would do.

    Args:
        users: The users who have the step.
        copied: Those of them who are done with it, which they stay.
        reset: The others, who have it to do.
        warnings: What an administrator should know.
    """

    users: int
    copied: int
    reset: int
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, int]:
        """Return the counts, as answers, log and events name them."""
        return {
            "usersAffected": self.users,
            "progressCopied": self.copied,
            "progressReset": self.reset,
        }


def foresee(connection: Connection, wish: Wish) -> Outcome:
    """Return what a migration would do; nothing is written.

    Raises:
        Refused: It would be refused.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        _step(connection, wish, lock="")
        return _outcome(connection, wish)


def migrate(connection: Connection, wish: Wish, correlation: uuid.UUID, asked_by: str) -> Outcome:
    """Do a migration; one that this very request has done already is told as it was.

    Raises:
        Refused: Nothing was written.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        if done := _done(connection, wish, correlation):
            return done
        step = _step(connection, wish, lock=" FOR UPDATE")
        outcome = _outcome(connection, wish)
        values = {**step, **wish.changes}
        about = {
            "step": wish.step,
            "before": wish.before,
            "after": wish.after,
            "correlation": str(correlation),
        }
        connection.execute(END, about)
        columns = {**values, "market_rule": Jsonb(values["market_rule"])}
        connection.execute(CREATE, {**about, **columns})
        connection.execute(COPY, about)
        if any(step[name] != values[name] for name in ("weight", "role_visibility")):
            # Otherwise every user has done as much of the whole as before.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [PERCENTAGES])
            connection.execute(PERCENT, about)
        _tell(connection, wish, outcome, correlation, asked_by)
        return outcome


def _done(connection: Connection, wish: Wish, correlation: uuid.UUID) -> Outcome | None:
    found = connection.execute(
        """SELECT users_affected, progress_copied, progress_reset, warnings FROM step_migrations
        WHERE step_id = %s AND to_version = %s AND correlation_id = %s""",
        [wish.step, wish.after, correlation],
    ).fetchone()
    if found is None:
        return None
    users, copied, reset, warnings = found
    return Outcome(users=users, copied=copied, reset=reset, warnings=tuple(warnings))


def _step(connection: Connection, wish: Wish, *, lock: str) -> dict[str, Any]:
    """Return the version that users are on, locked if asked for.

    Raises:
        Refused: There is none, or the new one is there already.
    """
    about = {"step": wish.step, "before": wish.before}
    found = connection.execute(STEP + lock, about).fetchone()
    there = connection.execute(
        "SELECT 1 FROM onboarding_steps WHERE step_id = %s AND version = %s",
        [wish.step, wish.after],
    ).fetchone()
    errors = []
    if found is None:
        errors.append(f"Step not found: {wish.step} has no version {wish.before}")
    if there is not None:
        errors.append(f"Target version already exists: {wish.step} has a version {wish.after}")
    if found is not None and not found[0]:
        errors.append(f"{wish.step} is not on version {wish.before} any more")
    if errors or found is None:
        raise Refused(*errors)
    names = ("weight", "role_visibility", "title", "description", "required", "market_rule")
    return dict(zip(names, found[1:], strict=True))


def _outcome(connection: Connection, wish: Wish) -> Outcome:
    about = {"step": wish.step, "before": wish.before}
    users, done, invalid = connection.execute(COUNTS, about).fetchone() or (0, 0, 0)
    warnings = []
    if wish.after != wish.before + 1:
        warnings.append(
            f"Expected version {wish.before + 1} but got {wish.after}. Using {wish.after}."
        )
    if invalid:
        warnings.append(f"{invalid} users had invalid status, reset to 'todo'")
    return Outcome(users=users, copied=done, reset=users - done, warnings=tuple(warnings))


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
    told = {**wish.as_json(), **outcome.as_json(), "correlationId": str(correlation)}
    connection.execute(
        "INSERT INTO outbox (kind, payload) VALUES ('onboarding.step_migrated', %s)",
        [json.dumps(told)],
    )
