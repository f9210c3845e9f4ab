"""Run statements in one transaction together with the ledger rows that say so."""

from __future__ import annotations

import contextlib
import functools
import time
from typing import TYPE_CHECKING

from changeover.executors.migrate import ledger
from changeover.executors.migrate.data import checks as data_checks
from changeover.executors.migrate.entries import Entry, record
from changeover.executors.migrate.failures import DataCheckFailed
from changeover.executors.migrate.patience import no_longer_than_rehearsed
from changeover.executors.migrate.placing import COMMIT, placing_failures
from changeover.executors.migrate.transaction import transaction
from changeover.executors.migrate.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.executors.migrate.data.results import Before, Result
    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Statement

# Every other kind can call set_config, or begins with SET.
SETS_NOTHING = (
    "ALTER ",
    "COMMENT",
    "CREATE ",
    "DELETE",
    "DROP ",
    "GRANT",
    "INSERT",
    "REVOKE",
    "TRUNCATE",
    "UPDATE",
)


def run_segment(turn: Turn, move: Move, statements: tuple[Statement, ...], *, last: bool) -> None:
    """Run ``statements`` in one transaction; with ``last`` the migration is done with it.

    Raises:
        StatementFailed: PostgreSQL refused one; nothing of them stays.
        VerifyFailed: A verify query is not true; nothing of them stays.
        DataCheckFailed: A data check is red; nothing of them stays.
        TableBusy: No lock before the deadline.
    """
    entries: list[Entry] = []
    results: list[Result] = []

    def work() -> None:
        entries.clear()
        results.clear()
        with transaction(
            turn, functools.partial(placing_failures, turn, move, statements[-1], COMMIT)
        ):
            _repeat_settings(turn, move, statements[0])
            before = _look_before(turn, move, statements[0])
            entries.extend(_run(turn, move, statement) for statement in statements)
            if last:
                _fire_deferred(turn, move, statements[-1])
                _end(turn, move, entries, before, results)
            else:
                record(turn.work, move, turn.mandate, move.state, entries)
            if turn.observer:
                turn.observer.ready()

    with _telling(turn, move, results):
        turn.retried(work, move.migration.id)
        for entry in entries:
            tell(turn, move, entry.statement, "executed", entry.milliseconds)


def finish(turn: Turn, move: Move) -> None:
    """Verify and close a migration whose statements are all done."""
    results: list[Result] = []

    def work() -> None:
        results.clear()
        with transaction(turn):
            _end(turn, move, [], None, results)

    with _telling(turn, move, results):
        turn.retried(work, move.migration.id)


def execute(turn: Turn, move: Move, statement: Statement) -> None:
    """Run one statement on the work session; raises as `placing_failures` says."""
    with placing_failures(turn, move, statement):
        turn.work.execute(statement.sql.encode())


def may_set(statement: Statement) -> bool:
    """Tell whether a statement may change settings of the session, as functions can."""
    return not statement.effect.kind.startswith(SETS_NOTHING)


def tell(turn: Turn, move: Move, statement: Statement, how: str, milliseconds: float) -> None:
    """Report a statement that is done."""
    turn.report(
        {
            "type": "statement",
            "migration": move.migration.id,
            "direction": move.direction,
            "number": statement.number,
            "of": len(move.statements),
            "kind": statement.effect.kind,
            "how": how,
            "milliseconds": round(milliseconds, 1),
            "says": f"{move.migration.id} {statement.number}/{len(move.statements)}"
            f" {statement.effect.kind} {how} in {milliseconds:.0f} ms",
        }
    )


def _run(turn: Turn, move: Move, statement: Statement) -> Entry:
    if turn.observer:
        turn.observer.before(turn.work)
    begun = time.perf_counter()
    with no_longer_than_rehearsed(turn, move, statement):
        execute(turn, move, statement)
    milliseconds = (time.perf_counter() - begun) * 1000
    ended = time.monotonic()
    if may_set(statement):
        turn.limit()
    if turn.observer:
        turn.observer.after(turn.work, move, statement)
    return Entry(statement=statement, milliseconds=milliseconds, ended=ended)


def _look_before(turn: Turn, move: Move, first: Statement) -> Before | None:
    """Note what the data checks compare with, where nothing of the migration has run yet."""
    if not move.forward or first is not move.statements[0]:
        return None
    return data_checks.look_before(turn.work, move.migration)


@contextlib.contextmanager
def _telling(turn: Turn, move: Move, results: list[Result]) -> Iterator[None]:
    """Report how the data checks came out, when they let the migration pass or hold it back."""
    try:
        yield
    except DataCheckFailed:
        data_checks.tell(turn.report, move.migration, results)
        raise
    data_checks.tell(turn.report, move.migration, results)


def _fire_deferred(turn: Turn, move: Move, last: Statement) -> None:
    """Have what waits for the commit happen now, where the migration is judged by what it left."""
    if move.verify or (move.forward and move.migration.checks):
        with placing_failures(turn, move, last, COMMIT):
            turn.work.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _end(
    turn: Turn, move: Move, entries: Sequence[Entry], before: Before | None, results: list[Result]
) -> None:
    if move.forward:
        record(turn.work, move, turn.mandate, move.final_state, entries)
    else:
        ledger.forget_statements(turn.work, move.migration.id)
        ledger.begin(turn.work, move.migration, turn.mandate, move.final_state)
    verify(turn.work, move.migration, move.verify)
    if move.forward:
        results += data_checks.take(turn.work, move.migration, before)
        data_checks.judge(move.migration, results)


def _repeat_settings(turn: Turn, move: Move, first: Statement) -> None:
    """Repeat the SETs of the file's earlier transactions: a re-run begins on a new session."""
    for statement in move.statements:
        if statement.number >= first.number:
            return
        if statement.effect.kind == "SET":
            execute(turn, move, statement)
