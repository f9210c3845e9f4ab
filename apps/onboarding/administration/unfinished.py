"""The row of a migration that goes chunk by chunk: how far it is, and who is at it."""

from __future__ import annotations

import uuid  # noqa: TC003 - a dataclass shows its types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt

    import psycopg

    from .wish import Wish

    Connection = psycopg.Connection[tuple[Any, ...]]

# Progress is copied, the version is switched, percentages are made anew; or all of it is called off.
COPYING, RECALCULATING, LEAVING = "copying", "recalculating", "leaving"
COLUMNS = """
    step_id, from_version, to_version, state, correlation_id, asked_by, users_affected,
    progress_copied, progress_reset, invalid, warnings, reached, passed, total, begun_at"""
# Of the session lock that whoever is at a step's migration holds.
ALONE = "hashtextextended('step migration ' || %s::text, 0)"
RUNNING = f"""
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32 | objid::bigint) = {ALONE}
    )"""  # noqa: S608 - its own lock
OF_STEP = f"SELECT {COLUMNS} FROM step_migrations WHERE step_id = %s AND state <> 'done'"  # noqa: S608 - its own columns
BEGIN = """
    INSERT INTO step_migrations (correlation_id, step_id, from_version, to_version, users_affected,
        progress_copied, progress_reset, warnings, asked_by, state, total)
    SELECT %(correlation)s, %(step)s, %(before)s, %(after)s, 0, 0, 0, '{}', %(asked_by)s, 'copying',
        (SELECT count(*) FROM onboarding_progress WHERE step_id = %(step)s AND version = %(before)s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """How far a migration is.

    Args:
        step: The step's id.
        before: The version that users were on when it was begun.
        after: The version that they are taken to.
        state: What is being done.
        correlation: The request that is at it, or was at it last.
        asked_by: Who began it.
        users: Whose progress is copied.
        copied: Those of them who are done.
        reset: The others.
        invalid: Those of the others who had a status that is none.
        warnings: What an administrator should know; since the switch.
        reached: The last user who was reached in this state.
        passed: How many users were passed in all states.
        total: How many are to be passed, as far as is known.
        begun_at: When it was begun.
    """

    step: str
    before: int
    after: int
    state: str
    correlation: uuid.UUID
    asked_by: str
    users: int
    copied: int
    reset: int
    invalid: int
    warnings: list[str]
    reached: str
    passed: int
    total: int
    begun_at: dt.datetime

    def is_of(self, wish: Wish) -> bool:
        """Tell whether it is the one that is asked for."""
        return (self.step, self.before, self.after) == (wish.step, wish.before, wish.after)

    def told(self) -> str:
        """Return a sentence that says what is the matter, and what can be done about it."""
        move = f"{self.step} is on its way from version {self.before} to {self.after}"
        if self.state == LEAVING:
            return f"{move}, which was called off: call it off again to finish that"
        if self.state == RECALCULATING:
            return f"{move}: ask for just that again to finish it"
        return f"{move}: ask for just that again to go on with it, or call it off"

    def as_json(self) -> dict[str, object]:
        """Return what the history of a step tells of it."""
        return {
            "fromVersion": self.before,
            "toVersion": self.after,
            "state": self.state,
            "done": self.passed,
            "total": max(self.passed, self.total),
            "askedBy": self.asked_by,
            "begunAt": self.begun_at,
            "correlationId": str(self.correlation),
        }


def of(connection: Connection, step: str, *, lock: str = "") -> Unfinished | None:
    """Return the migration of a step that is not finished, locked if asked for."""
    found = connection.execute((OF_STEP + lock).encode(), [step]).fetchone()
    return None if found is None else _record(found)


def running(connection: Connection, step: str) -> bool:
    """Tell whether somebody is at the migration of a step: otherwise it was left behind."""
    found = connection.execute(RUNNING, [step]).fetchone()
    return found is not None and bool(found[0])


def begin(connection: Connection, wish: Wish, correlation: uuid.UUID, asked_by: str) -> None:
    """Write that one is begun: from the end of this transaction, what users write is carried."""
    connection.execute(
        BEGIN,
        {
            "correlation": correlation,
            "step": wish.step,
            "before": wish.before,
            "after": wish.after,
            "asked_by": asked_by,
        },
    )


def _record(row: tuple[Any, ...]) -> Unfinished:
    names = Unfinished.__dataclass_fields__
    return Unfinished(**dict(zip(names, row, strict=True)))
