"""Say where in a file it was that PostgreSQL refused something, without the rows that it quotes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

from changeover.agent.postgres.words import without_values
from changeover.executors.migrate.failures import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Statement

COMMIT = "COMMIT"


@contextlib.contextmanager
def placing_failures(
    turn: Turn, move: Move, statement: Statement, what: str | None = None
) -> Iterator[None]:
    """Turn what PostgreSQL refuses into a failure that names the statement's place.

    Args:
        turn: The runner's turn.
        move: The migration and its direction.
        statement: What runs.
        what: What it is that runs, where that is not the statement itself.

    Raises:
        StatementFailed: It was refused. Lock waits, cancellation and a lost session pass as they are.
    """
    try:
        yield
    except (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.DeadlockDetected,
        psycopg.errors.QueryCanceled,
        # the end of the session, which may be told before its connection is seen to close
        psycopg.errors.AdminShutdown,
        psycopg.errors.CrashShutdown,
    ):
        raise
    except psycopg.Error as error:
        if turn.work.broken:
            raise
        raise _statement_failed(turn, move, statement, what, error) from error


def _statement_failed(
    turn: Turn, move: Move, statement: Statement, what: str | None, error: psycopg.Error
) -> StatementFailed:
    """Return the failure that names file, line and what PostgreSQL said."""
    position = int(error.diag.statement_position or 1)
    line = statement.line + statement.sql[: position - 1].count("\n")
    where = move.where(statement).rpartition(":")[0]
    return StatementFailed(
        f"{where}:{line}: {what or statement.effect.kind} failed: {_said(error)}",
        host=turn.database.shown_host,
        cause="\n".join([f"SQLSTATE {error.sqlstate}", *_details(error)]),
        hint="nothing of its transaction stays; correct the file and run the same command again",
    )


def _said(error: psycopg.Error) -> str:
    return without_values(error.diag.message_primary or str(error).strip())


def _details(error: psycopg.Error) -> Iterator[str]:
    said = error.diag
    fields = {"DETAIL": said.message_detail, "HINT": said.message_hint, "CONTEXT": said.context}
    for field, text in fields.items():
        if text:
            yield without_values(f"{field}:  {text}").partition("  ")[2]
