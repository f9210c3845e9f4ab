"""Ask a migration's verify queries, in the transaction whose commit depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate.data.checks import SETTINGS
from changeover.executors.migrate.failures import VerifyFailed

if TYPE_CHECKING:
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Migration, Statement

SHOWN_ROWS = 3


def verify(connection: Connection, migration: Migration, queries: tuple[Statement, ...]) -> None:
    """Ask every query, read-only; each must return rows, and each row must begin with true.

    Raises:
        VerifyFailed: One did not; the message shows the query and the rows.
    """
    if not queries:
        return
    with connection.transaction(force_rollback=True):
        connection.execute(SETTINGS)
        for query in queries:
            _ask(connection, migration, query)


def _ask(connection: Connection, migration: Migration, query: Statement) -> None:
    try:
        found = connection.execute(query.sql.encode()).fetchall()
    except psycopg.OperationalError:
        raise  # waits and lost sessions are the turn's to judge
    except psycopg.Error as error:
        raise _failed(migration, query, "cannot be asked", str(error).strip()) from error
    wrong = [row for row in found if row[0] is not True]
    if wrong:
        shown = "; ".join(str(row) for row in wrong[:SHOWN_ROWS])
        fault = f"came out wrong in {len(wrong)} of {len(found)} rows"
        raise _failed(migration, query, fault, shown)
    if not found:
        raise _failed(migration, query, "returned no row", None)


def _failed(migration: Migration, query: Statement, fault: str, cause: str | None) -> VerifyFailed:
    path = migration.path.with_suffix(".verify.sql")
    return VerifyFailed(
        f"{path}:{query.line} {fault}: {query.sql}",
        cause=cause,
        hint=f"correct the data or {migration.path}, then run the same command again",
    )
