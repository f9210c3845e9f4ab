"""Walk a table in keyset batches; each commits its cursor with its rows."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import tuple_row

from changeover.executors.migrate import ledger
from changeover.executors.migrate.backfill.keyset import Keyset
from changeover.executors.migrate.backfill.pacing import SMALLEST, Pace
from changeover.executors.migrate.backfill.pressure import Pressure
from changeover.executors.migrate.backfill.progress import Progress
from changeover.executors.migrate.placing import placing_failures
from changeover.executors.migrate.segment import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.executors.migrate.backfill.keyset import Span
    from changeover.executors.migrate.ledger import StatementRow
    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Batch

LIMITS = "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"
# A server that crashes may lose such batches, each with its cursor; the last one is waited for, and
# all before it with it. Others are not kept waiting for the disk, nor for a synchronous replica.
LATER_ON_DISK = "SET LOCAL synchronous_commit = off"
# Row locks of others are seen in pg_locks by every role, unlike wait events in pg_stat_activity.
WAITING = """
    SELECT set_config('statement_timeout', %s, true), extract(epoch FROM clock_timestamp() - now())::float8,
        (SELECT count(DISTINCT pid) FROM pg_locks
         WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))
"""

KEYS = "reading the keys of its batches"


class _Overran(Exception):
    """A batch held its locks for too long and was taken back."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A batch that was committed.

    Args:
        span: Its keys; None when there was none left.
        rows: How many rows it changed.
        waiting: How many sessions waited for its locks at its end.
        seconds: How long it held them, by this process's clock.
        held_seconds: The same by the server's: what came between here and there is not in it.
    """

    span: Span | None
    rows: int = 0
    waiting: int = 0
    seconds: float = 0.0
    held_seconds: float = 0.0


@dataclasses.dataclass(slots=True, kw_only=True)
class _Walk:
    """Where a backfill stands.

    Args:
        turn: The runner's turn.
        move: The migration and its direction.
        keys: What is walked.
        pace: How large the next batch is.
        after: The last key that is done; None at the beginning.
        noted: Whether this run stands in the ledger's rows of the migration.
    """

    turn: Turn
    move: Move
    keys: Keyset
    pace: Pace
    after: str | None
    noted: bool = False


def run_batches(turn: Turn, move: Move, batch: Batch, recorded: StatementRow | None) -> None:
    """Run the file's one statement for every batch of keys after the recorded cursor.

    Raises:
        KeyUnusable: The table cannot be walked by that key; nothing was changed.
        StatementFailed: PostgreSQL refused a batch; the batches before it stay, and so does the cursor.
        TableBusy: A batch got no lock before the deadline.
        DeadlinePassed: Time was up, in a batch or in a pause.
    """
    name = move.migration.id
    begun = time.monotonic()
    after = recorded.cursor if recorded else None
    keys = Keyset(batch)
    total, left = turn.retried(functools.partial(_survey, turn, move, keys, after), name)
    pressure = Pressure(turn, name, batch, keys.table, total)
    done = recorded.rows_done if recorded else 0
    progress = Progress(turn.report, name, keys=max(total - left, 0), rows=done, total=total)
    # Nobody waits for a clone, and what watches it there takes time of its own.
    pace = Pace(batch.size, batch.target_seconds, batch.size if turn.observer else SMALLEST)
    walk = _Walk(turn=turn, move=move, keys=keys, pace=pace, after=after)
    while True:
        pressure.wait()
        try:
            step = turn.retried(functools.partial(_batch, walk), name)
        except _Overran:
            pace.overran()
            continue
        walk.noted = True
        if step.span is None:
            break
        progress.add(step.span.keys, step.rows)
        if turn.observer:
            turn.observer.held(move, move.statements[0], step.seconds)
        if step.span.ends:
            break
        walk.after = step.span.last
        pace.took(step.span.keys, step.held_seconds)
        pressure.give_way(step.waiting, step.seconds)
    tell(turn, move, move.statements[0], "executed", (time.monotonic() - begun) * 1000)


def _survey(turn: Turn, move: Move, keys: Keyset, after: str | None) -> tuple[int, int]:
    """Return about how many keys there are, and how many of them are left."""
    turn.limit()
    keys.check(turn.work, move.migration.path)
    with placing_failures(turn, move, move.statements[0], KEYS):
        total = keys.estimated(turn.work)
        return total, total if after is None else keys.estimated(turn.work, after)


def _batch(walk: _Walk) -> _Step:
    """Run one batch; the one after which no key is left closes the statement."""
    turn, move = walk.turn, walk.move
    record = (turn.work, move.migration, move.statements[0], move.direction, turn.mandate)
    with placing_failures(turn, move, move.statements[0], KEYS):
        span = walk.keys.following(turn.work, walk.after, walk.pace.size)
    rows, waiting = 0, None
    # What is sent together is answered together: a round trip more is one that others wait for.
    with turn.work.pipeline() as pipeline, turn.work.transaction():
        if not walk.noted:
            ledger.begin(turn.work, move.migration, turn.mandate, move.state)
            ledger.intend(*record)
            pipeline.sync()
        if span is not None and not span.ends:
            turn.work.execute(LATER_ON_DISK)
        begun = time.perf_counter()
        if span is None:
            ledger.check(turn.work, turn.mandate)
        else:
            rows = _change(walk, span)
            waiting = turn.work.execute(WAITING, (f"{turn.deadline.remaining * 1000 + 1:.0f}ms",))
            ledger.advance(turn.work, move.migration.id, span.last, rows)
        if span is None or span.ends:
            milliseconds = (time.perf_counter() - begun) * 1000
            ledger.done(*record, how="executed", milliseconds=milliseconds)
    seconds = time.perf_counter() - begun
    found = waiting.fetchone() if waiting else None
    held, others = (found[1], found[2]) if found else (seconds, 0)
    return _Step(span=span, rows=rows, waiting=others, seconds=seconds, held_seconds=held)


def _change(walk: _Walk, span: Span) -> int:
    """Change the rows of these keys and return how many they were."""
    turn, statement = walk.turn, walk.move.statements[0]
    cursor = psycopg.RawCursor(turn.work, row_factory=tuple_row)
    with placing_failures(turn, walk.move, statement), _stopped(turn, walk.pace.stop_seconds):
        cursor.execute(statement.sql.encode(), (span.first, span.last))
        if turn.observer:
            turn.observer.batch(turn.work, walk.move, statement)
        ledger.check(turn.work, turn.mandate)  # in time before the commit, and it waits for both
    return cursor.rowcount


@contextlib.contextmanager
def _stopped(turn: Turn, seconds: float | None) -> Iterator[None]:
    """Have the server cancel what runs for longer than ``seconds``; None leaves it to the deadline.

    Raises:
        _Overran: It was cancelled for that.
    """
    if seconds is None or seconds >= turn.deadline.remaining:
        yield
        return
    milliseconds = max(int(seconds * 1000), 1)
    lock = min(turn.lock_timeout_milliseconds, milliseconds)
    turn.work.execute(LIMITS, (f"{milliseconds}ms", f"{lock}ms"))
    begun = time.perf_counter()
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        if turn.deadline.passed or time.perf_counter() - begun < seconds:
            raise  # the deadline's, or somebody else's doing
        raise _Overran from error
