"""Run what no transaction can hold: an intent first, then the catalog tells what became of it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate import ledger
from changeover.executors.migrate.failures import SlowerThanRehearsed, StatementFailed
from changeover.executors.migrate.leftovers import Finding, clear, look
from changeover.executors.migrate.patience import no_longer_alone
from changeover.executors.migrate.placing import placing_failures
from changeover.executors.migrate.segment import execute, tell

if TYPE_CHECKING:
    from changeover.executors.migrate.ledger import How, StatementRow
    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Statement

QUEUES_BRIEFLY = {"ALTER TABLE DETACH PARTITION CONCURRENTLY"}


def run_standalone(
    turn: Turn, move: Move, statement: Statement, recorded: StatementRow | None
) -> None:
    """Run one statement in autocommit, unless the catalog shows that it is done.

    Args:
        turn: The runner's turn.
        move: The migration and its direction.
        statement: What to run.
        recorded: What the ledger has of it: an intent when an earlier run was cut short.

    Raises:
        StatementFailed: PostgreSQL refused it; an invalid index it left was removed again.
        SlowerThanRehearsed: It was at work far longer than in its rehearsal; the same was removed.
        IndexForeign: An invalid index that we did not start bears the name.
        IndexDiffers: Another object bears the name.
    """
    begun = time.monotonic()
    intent = _Intent(recorded)

    def attempt() -> How:
        with placing_failures(turn, move, statement):
            finding = look(turn, move, statement, intended=intent.made, before=intent.before)
        if finding.done:
            return "adopted"
        if not intent.made:
            _intend(turn, move, statement, finding)
            intent.record(finding)
        if finding.leftover:
            clear(turn, statement, finding)
        _run(turn, move, statement, finding)
        return "healed" if finding.leftover or finding.instead else "executed"

    try:
        how = turn.retried(attempt, move.migration.id)
    except (StatementFailed, SlowerThanRehearsed):
        _tidy(turn, move, statement, intent)
        raise
    _name_others(turn, move, statement, intent.before)
    milliseconds = (time.monotonic() - begun) * 1000
    _done(turn, move, statement, how, milliseconds)
    tell(turn, move, statement, how, milliseconds)


def _name_others(turn: Turn, move: Move, statement: Statement, names: tuple[str, ...]) -> None:
    """Tell of invalid indexes that stood there before: they are somebody else's, and stay."""
    if names:
        says = f"{move.where(statement)}: invalid, not ours and left: {', '.join(names)}"
        turn.report({"type": "notice", "message": says, "says": says})


class _Intent:
    """Whether the ledger holds an intent for the statement, and what stood there before it."""

    def __init__(self, recorded: StatementRow | None) -> None:
        self.made = recorded is not None
        self.before = recorded.before if recorded else ()

    def record(self, finding: Finding) -> None:
        self.made = True
        self.before = finding.before


def _intend(turn: Turn, move: Move, statement: Statement, finding: Finding) -> None:
    with turn.work.transaction():
        turn.limit()
        ledger.check(turn.work, turn.mandate)
        ledger.begin(turn.work, move.migration, turn.mandate, move.state)
        ledger.intend(
            turn.work, move.migration, statement, move.direction, turn.mandate, finding.before
        )


def _run(turn: Turn, move: Move, statement: Statement, finding: Finding) -> None:
    # It waits for old snapshots while readers and writers go on, so a lock timeout would only
    # make it start over; the deadline is its limit.
    turn.limit(lock_timeout=statement.effect.kind in QUEUES_BRIEFLY)
    for earlier in move.statements[: statement.number - 1]:
        if earlier.effect.kind == "SET":
            execute(turn, move, earlier)
    watched = turn.observer.alone(move, statement) if turn.observer else None
    with (
        no_longer_alone(turn, move, statement),
        placing_failures(turn, move, statement),
        watched or contextlib.nullcontext(),
    ):
        turn.work.execute((finding.instead or statement.sql).encode())


def _done(turn: Turn, move: Move, statement: Statement, how: How, milliseconds: float) -> None:
    def transaction() -> None:
        with turn.work.transaction():
            turn.limit()
            ledger.check(turn.work, turn.mandate)
            ledger.begin(turn.work, move.migration, turn.mandate, move.state)
            ledger.done(
                turn.work,
                move.migration,
                statement,
                move.direction,
                turn.mandate,
                how=how,
                milliseconds=milliseconds,
            )

    turn.retried(transaction, move.migration.id)


def _tidy(turn: Turn, move: Move, statement: Statement, intent: _Intent) -> None:
    """Take away what a refused statement left behind, and the intent with it."""

    def attempt() -> None:
        finding = look(turn, move, statement, intended=intent.made, before=intent.before)
        if finding.leftover:
            clear(turn, statement, finding)
        with turn.work.transaction():
            ledger.check(turn.work, turn.mandate)
            ledger.retract(turn.work, move.migration, statement, move.direction)

    try:
        turn.retried(attempt, move.migration.id)
    except psycopg.Error as error:
        said = f"left for the next run: {error}"
        turn.report({"type": "notice", "message": said, "says": said})
