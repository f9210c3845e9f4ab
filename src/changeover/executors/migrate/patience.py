"""How long a statement may take on the live database, by what it took in its rehearsal."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate.failures import SlowerThanRehearsed
from changeover.executors.migrate.session import row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Statement

# The live database has users beside it and colder caches than the clone that was just made.
TIMES_SLOWER = 10.0
LEAST_MILLISECONDS = 5000.0
CURRENT = "SELECT current_setting('statement_timeout')"


def allowed_milliseconds(rehearsed: float) -> float:
    """Return the longest that a statement may run which took ``rehearsed`` milliseconds."""
    return max(LEAST_MILLISECONDS, TIMES_SLOWER * rehearsed)


@contextlib.contextmanager
def no_longer_than_rehearsed(turn: Turn, move: Move, statement: Statement) -> Iterator[None]:
    """Have the server cancel the statement where it runs far longer than it did in its rehearsal.

    Raises:
        SlowerThanRehearsed: It did; nothing of its transaction stays.
    """
    rehearsed = turn.rehearsed.get((move.migration.id, statement.number))
    if rehearsed is None or not move.forward:
        yield
        return
    allowed = min(allowed_milliseconds(rehearsed), max(turn.deadline.remaining * 1000, 1))
    usual = row(turn.work, CURRENT)
    _set(turn, f"{allowed:.0f}ms")
    begun = time.monotonic()
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        if turn.deadline.passed or (time.monotonic() - begun) * 1000 < allowed:
            raise  # the deadline's, or somebody else's doing
        raise SlowerThanRehearsed(
            f"{move.where(statement)}: {statement.effect.kind} was stopped after"
            f" {allowed / 1000:.0f} s; in its rehearsal it took {rehearsed / 1000:.1f} s",
            host=turn.database.shown_host,
            cause=str(error).strip(),
            hint="see what keeps the database busy, then run the same command again:"
            " nothing of its transaction stays",
        ) from error
    _set(turn, str(usual[0]) if usual else "0")


def _set(turn: Turn, limit: str) -> None:
    turn.work.execute("SELECT set_config('statement_timeout', %s, true)", (limit,))
