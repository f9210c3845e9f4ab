"""What users do: see their steps, and make progress on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .tokens import SMOKE

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

# Of pg_advisory_xact_lock: shared by whoever writes one user's percentage, alone for all of them.
PERCENTAGES = 0x6F6E626F
STATUSES = ("todo", "done", "skipped")
# Who waits for a migration finds the version before it gone, and the new one at the next look, unless
# another migration was first again. More in a row than that is no step that anybody can be at.
LOOKS = 100
THERE = "SELECT 1 FROM onboarding_steps WHERE step_id = %s AND active_to IS NULL"
ACTIVE = """
    SELECT version FROM onboarding_steps
    WHERE step_id = %s AND active_to IS NULL FOR SHARE"""
WRITE = """
    INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
    VALUES (%(user)s, %(step)s, %(version)s, %(status)s, CASE %(status)s WHEN 'done' THEN now() END)
    ON CONFLICT (user_id, step_id, version) DO UPDATE
    SET status = excluded.status, completed_at = excluded.completed_at, updated_at = now()"""
HOLD = "SELECT 1 FROM onboarding_users WHERE user_id = %s FOR NO KEY UPDATE"
PERCENT = """
    WITH reached AS (
        SELECT sum(s.weight) AS whole, sum(s.weight) FILTER (WHERE p.status = 'done') AS done
        FROM onboarding_steps s
        LEFT JOIN onboarding_progress p
          ON p.user_id = %(user)s AND p.step_id = s.step_id AND p.version = s.version
        WHERE s.active_to IS NULL
          AND (cardinality(s.role_visibility) = 0
               OR (SELECT role FROM onboarding_users WHERE user_id = %(user)s) = ANY (s.role_visibility))
    )
    UPDATE onboarding_users SET updated_at = now(),
        percent = (SELECT coalesce(round(100.0 * coalesce(done, 0) / nullif(whole, 0)), 0) FROM reached)
    WHERE user_id = %(user)s RETURNING percent"""
STEPS = """
    SELECT s.step_id, s.version, s.title, s.description, s.required, s.weight,
           coalesce(p.status, 'todo')
    FROM onboarding_steps s
    LEFT JOIN onboarding_progress p
      ON p.user_id = %(user)s AND p.step_id = s.step_id AND p.version = s.version
    WHERE s.active_to IS NULL
      AND (cardinality(s.role_visibility) = 0 OR %(role)s = ANY (s.role_visibility))
    ORDER BY s.step_id"""
# Of no weight, and seen by nobody else, so that it is in no user's way.
SMOKE_STEP = """
    INSERT INTO onboarding_steps (step_id, version, title, required, weight, role_visibility)
    VALUES (%(smoke)s, 1, 'Smoke check', false, 0, ARRAY[%(smoke)s])
    ON CONFLICT DO NOTHING"""
STEP_NAMES = ("stepId", "version", "title", "description", "required", "weight", "status")


def steps(connection: Connection, user: str, role: str) -> dict[str, Any]:
    """Return a user's steps and percentage."""
    with connection.transaction():
        found = connection.execute(STEPS, {"user": user, "role": role}).fetchall()
        percent = connection.execute(
            "SELECT percent FROM onboarding_users WHERE user_id = %s", [user]
        ).fetchone()
    listed = [dict(zip(STEP_NAMES, row, strict=True)) for row in found]
    return {"steps": listed, "percent": percent[0] if percent else 0}


def give_smoke_its_step(connection: Connection) -> None:
    """Have the step be there that smoke checks make progress on."""
    connection.execute(SMOKE_STEP, {"smoke": SMOKE})


def make(
    connection: Connection, user: str, role: str, step: str, status: str
) -> dict[str, Any] | None:
    """Write a user's progress on the version of a step that is active; ``None`` where there is no step.

    Args:
        connection: The database.
        user: Whose progress it is.
        role: What they are, for a user who is new here.
        step: The step's id.
        status: One of `STATUSES`.
    """
    with connection.transaction():
        version = _active(connection, step)
        if version is None:
            return None
        # Shared, after the step's lock, as a migration takes the two.
        connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PERCENTAGES])
        connection.execute(
            "INSERT INTO onboarding_users (user_id, role) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [user, role],
        )
        # Two requests of one user: the second one counts what the first has written. A migration that
        # copies refers to the user, which this lock allows: it waits for us with the other one.
        connection.execute(HOLD, [user])
        about = {"user": user, "step": step, "version": version, "status": status}
        connection.execute(WRITE, about)
        percent = connection.execute(PERCENT, about).fetchone()
    return {
        "stepId": step,
        "version": version,
        "status": status,
        "percent": percent[0] if percent else 0,
    }


def _active(connection: Connection, step: str) -> int | None:
    """Return the version of a step that is active, and keep it so until the transaction ends."""
    for _ in range(LOOKS):
        found = connection.execute(ACTIVE, [step]).fetchone()
        if found is not None:
            return int(found[0])
        if connection.execute(THERE, [step]).fetchone() is None:
            return None
    return None
