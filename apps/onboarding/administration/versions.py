"""The rows of a step's versions, as a migration reads, makes and ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from . import unfinished
from .outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from .wish import Wish

    Connection = psycopg.Connection[tuple[Any, ...]]

NAMES = ("weight", "role_visibility", "title", "description", "required", "market_rule")
STEP = """
    SELECT active_to IS NULL, weight, role_visibility, title, description, required, market_rule
    FROM onboarding_steps WHERE step_id = %(step)s AND version = %(version)s"""
# Until it begins, the time that it is active for is empty: no release takes it for the active one.
CREATE = """
    INSERT INTO onboarding_steps (step_id, version, title, description, required, weight,
                                  role_visibility, market_rule, active_from, active_to)
    VALUES (%(step)s, %(after)s, %(title)s, %(description)s, %(required)s, %(weight)s,
            %(role_visibility)s, %(market_rule)s, now(), CASE WHEN %(waits)s THEN now() END)"""
BEGIN = """
    UPDATE onboarding_steps SET active_from = now(), active_to = NULL, updated_at = now()
    WHERE step_id = %(step)s AND version = %(after)s"""
END = """
    UPDATE onboarding_steps SET active_to = now(), updated_at = now()
    WHERE step_id = %(step)s AND version = %(before)s"""


def wanted(connection: Connection, wish: Wish, *, lock: str) -> dict[str, Any]:
    """Return the version that users are on, locked if asked for.

    Raises:
        Refused: There is none, the new one is there already, or the step is on its way.
    """
    found = _found(connection, wish.step, wish.before, lock)
    if row := unfinished.of(connection, wish.step):
        raise Refused(row.told())
    there = _found(connection, wish.step, wish.after, "")
    errors = []
    if found is None:
        errors.append(f"Step not found: {wish.step} has no version {wish.before}")
    if there is not None:
        errors.append(f"Target version already exists: {wish.step} has a version {wish.after}")
    if found is not None and not found[0]:
        errors.append(f"{wish.step} is not on version {wish.before} any more")
    if errors or found is None:
        raise Refused(*errors)
    return dict(zip(NAMES, found[1:], strict=True))


def create(connection: Connection, wish: Wish, values: Mapping[str, Any], *, waits: bool) -> None:
    """Insert the new version, active unless it waits."""
    columns = {**values, "market_rule": Jsonb(values["market_rule"]), "waits": waits}
    connection.execute(CREATE, {"step": wish.step, "after": wish.after, **columns})


def end(connection: Connection, wish: Wish) -> None:
    """Have the version before be active no more."""
    connection.execute(END, {"step": wish.step, "before": wish.before})


def switch(connection: Connection, wish: Wish) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have the new version, which waited, be active instead of the one before; return both.

    Nobody who writes progress on the step is at it from here to the end of the transaction.

    Raises:
        Refused: Somebody else has ended the one before, or taken the new one away.
    """
    before = _found(connection, wish.step, wish.before, " FOR UPDATE")
    after = _found(connection, wish.step, wish.after, "")
    if before is None or not before[0] or after is None:
        raise Refused(f"{wish.step} is not on version {wish.before} any more")
    end(connection, wish)
    connection.execute(BEGIN, {"step": wish.step, "after": wish.after})
    one, other = (dict(zip(NAMES, each[1:], strict=True)) for each in (before, after))
    return one, other


def differing(connection: Connection, wish: Wish) -> list[str]:
    """Return the columns that a version which waits has otherwise than it is asked for now."""
    found = _found(connection, wish.step, wish.after, "")
    known = dict(zip(NAMES, found[1:], strict=True)) if found else {}
    return [name for name, value in wish.changes.items() if known.get(name) != value]


def _found(connection: Connection, step: str, version: int, lock: str) -> tuple[Any, ...] | None:
    about = {"step": step, "version": version}
    return connection.execute((STEP + lock).encode(), about).fetchone()
