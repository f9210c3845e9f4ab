"""How long a statement may take on the live database, by what it took in its rehearsal."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import psycopg

from changeover import duration
from changeover.counts import counted
from changeover.executors.migrate.failures import SlowerThanRehearsed
from changeover.executors.migrate.moves import Move, segments
from changeover.executors.migrate.session import row
from changeover.executors.migrate.working import Working

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.executors.migrate.ledger import Direction
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Migration, Statement

# The live database has users beside it and colder caches than the clone that was just made.
TIMES_SLOWER = 10.0
LEAST_MILLISECONDS = 5000.0
SHOWN = 3
CURRENT = "SELECT current_setting('statement_timeout')"


def allowed_milliseconds(rehearsed: float) -> float:
    """Return the longest that a statement may run which took ``rehearsed`` milliseconds."""
    return max(LEAST_MILLISECONDS, TIMES_SLOWER * rehearsed)


def tell_unrehearsed(turn: Turn, migrations: Sequence[Migration], direction: Direction) -> None:
    """Say of statements that no rehearsal measured what bounds them; batches are bounded one by one."""
    rehearsed = turn.rehearsed
    if rehearsed is None:
        return
    unknown = [
        (migration, statement)
        for migration in migrations
        if direction == "revert" or migration.batch is None
        for statement in Move(migration=migration, direction=direction).statements
        if (migration.id, direction, statement.number) not in rehearsed
    ]
    if not unknown:
        return
    names = dict.fromkeys(migration.id for migration, _ in unknown)
    told = ", ".join(names) if len(names) <= SHOWN else f"{counted(len(names), 'migration')}"
    limit = duration.words(turn.deadline.seconds)
    turn.report(
        {
            "type": "unrehearsed",
            "direction": direction,
            "statements": len(unknown),
            "says": f"{counted(len(unknown), 'statement')} of {told} never ran in a rehearsal as"
            f" written now: the deadline of {limit} alone bounds what that takes",
        }
    )


@contextlib.contextmanager
def no_longer_than_rehearsed(turn: Turn, move: Move, statement: Statement) -> Iterator[None]:
    """Have the server cancel the statement where it runs far longer than it did in its rehearsal.

    Raises:
        SlowerThanRehearsed: It did; nothing of its transaction stays.
    """
    rehearsed = _rehearsed(turn, move, statement)
    if rehearsed is None:
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
        raise _slower(turn, move, statement, allowed, error) from error
    _set(turn, str(usual[0]) if usual else "0")


@contextlib.contextmanager
def no_longer_alone(turn: Turn, move: Move, statement: Statement) -> Iterator[None]:
    """Have what runs outside a transaction cancelled where it works far longer than in its rehearsal.

    Such a statement may wait for old snapshots of others for as long as these live: that is not counted.

    Raises:
        SlowerThanRehearsed: It did; what it left is the caller's to take away.
    """
    rehearsed = _rehearsed(turn, move, statement)
    allowed = None if rehearsed is None else allowed_milliseconds(rehearsed)
    turn.working = Working(None if allowed is None else allowed / 1000)
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        if allowed is None or not turn.working.overran or turn.deadline.passed:
            raise
        raise _slower(turn, move, statement, allowed, error) from error


def _rehearsed(turn: Turn, move: Move, statement: Statement) -> float | None:
    known = turn.rehearsed or {}
    return known.get((move.migration.id, move.direction, statement.number))


def _slower(
    turn: Turn, move: Move, statement: Statement, allowed: float, error: psycopg.Error
) -> SlowerThanRehearsed:
    rehearsed = _rehearsed(turn, move, statement) or 0.0
    return SlowerThanRehearsed(
        f"{move.where(statement)}: {statement.effect.kind} was stopped after"
        f" {allowed / 1000:.1f} s; in its rehearsal it took {rehearsed / 1000:.3f} s."
        f" {_stands(turn, move, statement)}",
        host=turn.database.shown_host,
        cause=str(error).strip(),
        hint=f"see what keeps the database busy; {_again(turn, move)}",
    )


def _stands(turn: Turn, move: Move, statement: Statement) -> str:
    """Say what became of the migration, and of those before it in the same turn."""
    name, done = move.migration.id, "applied" if move.forward else "undone"
    kept = 0
    for segment in segments(move.statements):
        if statement in segment:
            break
        kept += len(segment)
    gone = (
        "Its transaction was rolled back"
        if statement.effect.transactional
        else "What it made is gone"
    )
    said = f"{gone}: nothing of {name} is {done}"
    if kept:
        of = f"{kept} of {counted(len(move.statements), 'statement')}"
        said = f"{gone}: {name} is {done} by {of}"
    if turn.ended:
        said += f"; {', '.join(turn.ended)} {'was' if len(turn.ended) == 1 else 'were'} before, and stays so"
    return said


def _again(turn: Turn, move: Move) -> str:
    """Name the command that measures anew: how much there is may have grown since."""
    release, phase = move.migration.release, move.migration.phase
    env = f" --env {turn.database.environment}" if turn.database.environment else ""
    if move.forward:
        anew = f"changeover db rehearse {release} --phase {phase}{env} measures it anew"
    elif phase == "contract":
        anew = f"changeover db revert {release}{env} measures it anew, and undoes it"
    else:
        return "the same command goes on"
    return f"the same command goes on, {anew}"


def _set(turn: Turn, limit: str) -> None:
    turn.work.execute("SELECT set_config('statement_timeout', %s, true)", (limit,))
