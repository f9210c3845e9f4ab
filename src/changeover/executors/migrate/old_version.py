"""Run what an old version runs, as the app's role, and undo it: what each statement came to."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import psycopg

from changeover.errors import CheckRed
from changeover.executors.migrate.entry import enter
from changeover.executors.migrate.session import ANSWER_SECONDS, answering

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from changeover.database import Database
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Statement

OLD = "changeover old version"
CURSOR = "changeover_old"
ROWS_COMPARED = 1000
# The role's own settings stay as they are, since they are the old version's: row security above all.
LIMITS = """
    SELECT set_config('lock_timeout', '5s', false),
           set_config('statement_timeout', '30s', false),
           set_config('idle_in_transaction_session_timeout', '60s', false)
"""
WRITING = {"INSERT", "UPDATE", "DELETE", "MERGE"}


class OldVersionFails(CheckRed):
    """A statement of the old version fails, or does not do what it shows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Did:
    """What one statement came to.

    Args:
        rows: How many rows it gave or wrote; -1 for one that does neither.
        columns: The names of what a query gave.
        values: What it gave, in words, in no order.
    """

    rows: int
    columns: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()

    def same(self, later: Did) -> bool:
        """Tell whether a later answer is the same; columns that came on top do not count."""
        mine, theirs = _numbered(self.columns), _numbered(later.columns)
        if self.rows != later.rows or not set(mine) <= set(theirs):
            return False
        places = [theirs.index(name) for name in mine]
        found = sorted(tuple(each[place] for place in places) for each in later.values)
        return found == sorted(self.values)


def _numbered(columns: Sequence[str]) -> list[tuple[str, int]]:
    """Return names of columns with how often each came before: two of them may have one name."""
    return [(name, columns[:place].count(name)) for place, name in enumerate(columns)]


def as_old_version(
    database: Database, statements: Sequence[Statement], path: Path
) -> tuple[Did, ...]:
    """Run statements in one transaction that is rolled back, with every constraint met before its end.

    Args:
        database: Where, as the app's role.
        statements: What the old version runs.
        path: Their file, for messages.

    Raises:
        OldVersionFails: One fails, writes no row, or gives more than can be compared.
        DatabaseRefused: The role is not let in from here, or as `entry.enter` says.
    """
    with contextlib.closing(enter(database, OLD)) as connection:
        with answering(connection, ANSWER_SECONDS):
            connection.execute(LIMITS)
        with connection.transaction(force_rollback=True):
            done = tuple(_one(connection, database, each, path) for each in statements)
            with _told(
                database, f"{path}: what is checked at the end of the transaction fails", ""
            ):
                _bounded(connection, "SET CONSTRAINTS ALL IMMEDIATE")
    return done


def _one(connection: Connection, database: Database, statement: Statement, path: Path) -> Did:
    kind, where = statement.effect.kind, f"{path}:{statement.line}"
    with _told(database, f"{where}: {kind} fails", statement.sql):
        did = (_asked if kind == "SELECT" else _bounded)(connection, statement.sql)
    if did.rows > ROWS_COMPARED and kind == "SELECT":
        raise OldVersionFails(
            f"{where}: SELECT gives more than can be compared as {database.user} (1000 rows at most)",
            hint="ask for fewer rows, or for what they come to",
            host=database.shown_host,
            cause=statement.sql,
        )
    if did.rows == 0 and kind in WRITING:
        raise OldVersionFails(
            f"{where}: {kind} writes no row as {database.user}, so it shows nothing",
            hint="have a statement before it insert the row that it writes",
            host=database.shown_host,
            cause=statement.sql,
        )
    return did


def _bounded(connection: Connection, text: str) -> Did:
    with answering(connection, ANSWER_SECONDS):
        return Did(connection.execute(text.encode()).rowcount)


def _asked(connection: Connection, text: str) -> Did:
    """Ask a query for no more rows than are compared."""
    with answering(connection, ANSWER_SECONDS), connection.cursor(name=CURSOR) as cursor:
        cursor.execute(text.encode())
        found = cursor.fetchmany(ROWS_COMPARED + 1)
        columns = tuple(each.name for each in cursor.description or ())
    values = tuple(tuple(map(repr, each)) for each in found)
    return Did(len(found), columns, values)


@contextlib.contextmanager
def _told(database: Database, what: str, text: str) -> Iterator[None]:
    """Tell a refusal with its SQLSTATE; its detail holds values of rows and is left out."""
    try:
        yield
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip()
        raise OldVersionFails(
            f"{what} as {database.user}: {said} (SQLSTATE {error.sqlstate or 'unknown'})",
            hint="correct the migration",
            host=database.shown_host,
            cause=text or None,
        ) from error
