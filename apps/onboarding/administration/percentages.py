"""Everybody's percentage, made anew where a step's weight or who sees it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onboarding.progress import PERCENTAGES

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

# What of a step percentages follow from.
COUNT_IN = ("weight", "role_visibility")
# A step that no role is named for is everybody's.
PERCENT = """
    WITH visible AS (
        SELECT roles.role, s.step_id, s.version, s.weight
        FROM (SELECT DISTINCT role FROM onboarding_users {users}) roles
        JOIN onboarding_steps s ON s.active_to IS NULL
         AND (cardinality(s.role_visibility) = 0 OR roles.role = ANY (s.role_visibility))
    ), whole AS (
        SELECT role, sum(weight) AS weight FROM visible GROUP BY role
    ), reached AS (
        SELECT user_id, sum(v.weight) AS weight
        FROM (SELECT user_id, role FROM onboarding_users {users}) u
        JOIN (SELECT user_id, step_id, version FROM onboarding_progress {progress}) p USING (user_id)
        JOIN visible v ON v.role = u.role AND v.step_id = p.step_id AND v.version = p.version
        GROUP BY user_id
    ), now_at AS (
        SELECT u.user_id,
               coalesce(round(100.0 * coalesce(r.weight, 0) / nullif(w.weight, 0)), 0)::smallint AS percent
        FROM (SELECT user_id, role FROM onboarding_users {users}) u
        LEFT JOIN whole w USING (role)
        LEFT JOIN reached r USING (user_id)
    ), changed AS (
        UPDATE onboarding_users u SET percent = n.percent, updated_at = now()
        FROM now_at n WHERE n.user_id = u.user_id AND n.percent <> u.percent
        RETURNING u.user_id, u.percent
    )
    INSERT INTO outbox (kind, payload)
    SELECT 'onboarding.percent_changed',
           jsonb_build_object('stepId', %(step)s::text, 'userId', user_id, 'percent', percent,
                              'correlationId', %(correlation)s::text)
    FROM changed"""
BETWEEN = "user_id > %(reached)s AND user_id <= %(last)s"
OF_ALL = PERCENT.format(users="", progress="WHERE status = 'done'")
OF_SOME = PERCENT.format(users=f"WHERE {BETWEEN}", progress=f"WHERE status = 'done' AND {BETWEEN}")
HOLD = """
    SELECT count(*), max(user_id) FROM (
        SELECT user_id FROM onboarding_users WHERE user_id > %(reached)s
        ORDER BY user_id LIMIT %(size)s FOR NO KEY UPDATE
    ) held"""


def change(step: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Tell whether anybody's percentage may change; otherwise all have done as much of the whole."""
    return any(step[name] != values[name] for name in COUNT_IN)


def alone(connection: Connection) -> None:
    """Wait until nobody is writing a percentage, and let nobody until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [PERCENTAGES])


def of_all(connection: Connection, step: str, correlation: uuid.UUID) -> None:
    """Make all of them anew in this transaction, for a step's new version."""
    alone(connection)
    connection.execute(OF_ALL, {"step": step, "correlation": str(correlation)})


def of_some(
    connection: Connection, step: str, correlation: uuid.UUID, reached: str, size: int
) -> tuple[int, str]:
    """Make those of the next users anew; return how many they are, and the last of them.

    Who writes one of theirs is waited for, and waits until the transaction ends.
    """
    # Beside users, not beside who makes all of them anew.
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PERCENTAGES])
    held = connection.execute(HOLD, {"reached": reached, "size": size}).fetchone() or (0, None)
    if held[0] == 0:
        return 0, reached
    about = {
        "step": step,
        "reached": reached,
        "last": held[1],
        "correlation": str(correlation),
    }
    connection.execute(OF_SOME, about)
    return held[0], held[1]
