"""Walk a table in keyset batches; each commits its cursor with its rows."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from changeover.executors.migrate import ledger
from changeover.executors.migrate.index_probe import quoted
from changeover.executors.migrate.segment import placing_failures, tell
from changeover.executors.migrate.session import row

if TYPE_CHECKING:
    from changeover.executors.migrate.ledger import StatementRow
    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Batch

REPORT_SECONDS = 1.0


def run_batches(turn: Turn, move: Move, batch: Batch, recorded: StatementRow | None) -> None:
    """Run the file's one statement for every batch of keys after the recorded cursor.

    Raises:
        StatementFailed: PostgreSQL refused a batch; the batches before it stay, and so does the cursor.
        TableBusy: A batch got no lock before the deadline.
    """
    statement = move.statements[0]
    begun = time.monotonic()
    progress = _Progress(turn, move, recorded.rows_done if recorded else 0)
    cursor = recorded.cursor if recorded else None
    while True:
        work = functools.partial(_batch, turn, move, batch, cursor)
        step = turn.retried(work, move.migration.id)
        if step is None:
            break
        cursor, changed = step
        progress.add(changed)
    tell(turn, move, statement, "executed", (time.monotonic() - begun) * 1000)


def _batch(turn: Turn, move: Move, batch: Batch, after: str | None) -> tuple[str, int] | None:
    """Run one batch and return ``(last key, rows changed)``; None when no key is left."""
    with turn.work.transaction():
        turn.limit()
        ledger.check(turn.work, turn.mandate)
        ledger.begin(turn.work, move.migration, turn.mandate, move.state)
        bounds = _bounds(turn, batch, after)
        statement = move.statements[0]
        if bounds is None:
            ledger.done(
                turn.work,
                move.migration,
                statement,
                move.direction,
                turn.mandate,
                how="executed",
                milliseconds=0,
            )
            return None
        ledger.intend(turn.work, move.migration, statement, move.direction, turn.mandate)
        cursor = psycopg.RawCursor(turn.work, row_factory=tuple_row)
        with placing_failures(turn, move, statement):
            cursor.execute(statement.sql.encode(), bounds)
        ledger.advance(turn.work, move.migration.id, bounds[1], cursor.rowcount)
        return bounds[1], cursor.rowcount


def _bounds(turn: Turn, batch: Batch, after: str | None) -> tuple[str, str] | None:
    """Return the first and the last key of the next batch, as text.

    They are ordered as keys: a bare ``key`` after ORDER BY would be the text column.
    """
    key = '"' + batch.key.replace('"', '""') + '"'
    table = quoted(batch.table)
    beyond = f"WHERE {key} > %s" if after is not None else ""
    query = f"""
        WITH batch AS MATERIALIZED
            (SELECT {key} AS key FROM {table} {beyond} ORDER BY {key} LIMIT {batch.size})
        SELECT (SELECT key::text FROM batch ORDER BY batch.key LIMIT 1),
               (SELECT key::text FROM batch ORDER BY batch.key DESC LIMIT 1)
    """  # noqa: S608 - the names come quoted from the release's own file
    values: tuple[Any, ...] = (after,) if after is not None else ()
    found = row(turn.work, query, values)
    if found is None or found[0] is None:
        return None
    return str(found[0]), str(found[1])


class _Progress:
    """Reports how many rows are done, at most once a second."""

    def __init__(self, turn: Turn, move: Move, done: int) -> None:
        self._turn = turn
        self._move = move
        self._begun = time.monotonic()
        self._shown = self._begun
        self._before = done
        self._done = done
        batch = move.migration.batch
        table = quoted(batch.table) if batch else ""
        found = row(
            turn.work,
            "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)",
            (table,),
        )
        self._estimate = max(int(found[0]), 0) if found else 0

    def add(self, changed: int) -> None:
        """Count rows of a committed batch."""
        self._done += changed
        now = time.monotonic()
        if now - self._shown < REPORT_SECONDS:
            return
        self._shown = now
        speed = (self._done - self._before) / (now - self._begun)
        left = max(self._estimate - self._done, 0)
        eta = left / speed if speed else None
        name = self._move.migration.id
        self._turn.report(
            {
                "type": "batch",
                "migration": name,
                "rows": self._done,
                "estimated_rows": self._estimate,
                "rows_per_second": round(speed),
                "eta_seconds": None if eta is None else round(eta, 1),
                "says": f"{name}: {self._done} of about {self._estimate} rows"
                + ("" if eta is None else f", {eta:.0f} s to go"),
            }
        )
