"""Take a migration's data checks in the transaction whose commit depends on them."""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate.data import queries, results
from changeover.executors.migrate.data.results import Before, Result
from changeover.executors.migrate.failures import DataCheckFailed
from changeover.migrations.checks import Rows, Unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from changeover.executors.migrate.session import Connection
    from changeover.migrations.checks import Check, Checks
    from changeover.migrations.records import Migration

    Report = Callable[[dict[str, object]], None]

# A policy that hides rows from us is an error, and names mean what they mean to a new session.
SETTINGS = """
    SET LOCAL transaction_read_only = on;
    SET LOCAL row_security = off;
    SET LOCAL search_path TO DEFAULT
"""


def look_before(connection: Connection, migration: Migration) -> Before:
    """Hold the compared tables still for this transaction, and note what is there.

    Raises:
        DataCheckFailed: That cannot be asked.
    """
    before = Before(counts={}, answers={})
    if migration.checks is None or not migration.checks.compared:
        return before
    _hold(connection, migration, migration.checks)
    with connection.transaction(force_rollback=True):
        connection.execute(SETTINGS)
        noted = [
            asked(connection, check, functools.partial(results.note, connection, check, before))
            for check in migration.checks.compared
        ]
    judge(migration, noted)
    return before


def take(connection: Connection, migration: Migration, before: Before | None) -> list[Result]:
    """Ask every check, read-only, and return how each came out.

    Args:
        connection: The session that holds the migration's transaction.
        migration: Whose checks are meant.
        before: What `look_before` noted; None where an earlier run committed the beginning.
    """
    if migration.checks is None:
        return []
    with connection.transaction(force_rollback=True):
        connection.execute(SETTINGS)
        return [
            asked(connection, check, functools.partial(_look, connection, check, before))
            for check in migration.checks.items
        ]


def judge(migration: Migration, results: Iterable[Result]) -> None:
    """Refuse to go on when a check is red.

    Raises:
        DataCheckFailed: It names the file, the first red check and its figures; the others follow.
    """
    red = [result for result in results if not result.green]
    if migration.checks is None or not red:
        return
    lines = [f"{migration.checks.where(each.check)}: {each}" for each in red]
    stays = (
        "nothing of the migration stays"
        if migration.transactional
        else "what the migration committed stays, and the ledger knows how far it is"
    )
    raise DataCheckFailed(
        lines[0],
        cause="\n".join(lines[1:]) or None,
        hint=f"{stays}; correct the data, {migration.path.name} or the check, then run the same"
        " command again",
    )


def tell(report: Report, migration: Migration, results: Iterable[Result]) -> None:
    """Report one event a check."""
    for result in results:
        report(event(migration.id, result))


def event(identity: str, result: Result) -> dict[str, object]:
    """Return what is told of one check of a migration."""
    return {
        "type": "data-check",
        "migration": identity,
        "check": str(result.check),
        "state": "green" if result.green else "red",
        "figures": result.figures,
        "examples": result.examples,
        "milliseconds": round(result.milliseconds, 1),
        "says": f"{identity} {'' if result.green else 'red: '}{result}",
    }


def _hold(connection: Connection, migration: Migration, checks: Checks) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(SETTINGS)
        found = [queries.table_named(connection, table) for table in checks.still]
    # Always in the same order, so that two who do this do not wait for each other.
    for table in sorted({each[1] for each in found if each and each[0]}):
        try:
            queries.hold(connection, table)
        except psycopg.errors.InsufficientPrivilege as error:
            raise DataCheckFailed(
                f"{checks.path}: {table} cannot be kept from changing while it is compared",
                cause=str(error).strip(),
                hint=f"{migration.path.name} did not run; compare tables of the owner role alone",
            ) from error


def _look(connection: Connection, check: Check, before: Before | None) -> Result:
    if isinstance(check, Rows | Unchanged):
        return results.compared(connection, check, before)
    return results.held(connection, check)


def asked(connection: Connection, check: Check, ask: Callable[[], Result]) -> Result:
    """Ask one check on its own, so that one that cannot be asked does not hide the others."""
    begun = time.perf_counter()
    try:
        with connection.transaction():
            result = ask()
    except psycopg.OperationalError:
        raise  # waits and lost sessions are the turn's to judge
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip()
        result = Result(check=check, green=False, says=f"cannot be asked: {said}")
    milliseconds = (time.perf_counter() - begun) * 1000
    return dataclasses.replace(result, milliseconds=milliseconds)
