"""Take the data checks of an app's own migrator, which commits when it likes.

What compares with before is compared where nobody else writes: on the clone of a rehearsal, and on
the live database before its first release.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from changeover.executors.migrate.data import results
from changeover.executors.migrate.data.checks import SETTINGS, asked, event
from changeover.executors.migrate.data.results import Before, Result
from changeover.executors.migrate.session import LOOK, answering, connect
from changeover.migrations.checks import Rows, Unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from changeover.database import Database
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.checks import Checks

    Report = Callable[[dict[str, object]], None]

CHECK_SECONDS = 3600.0


def own_noted(database: Database, checks: Checks) -> Before:
    """Note on a clone what the checks compare with; nobody else is in it."""
    with _unhurried(database) as connection:
        return note(connection, checks)


def own_taken(database: Database, checks: Checks, before: Before | None) -> list[Result]:
    """Ask every check on a clone."""
    with _unhurried(database) as connection:
        return take(connection, checks, before)


@contextlib.contextmanager
def _unhurried(database: Database) -> Iterator[Connection]:
    with connect(database, LOOK) as connection, answering(connection, CHECK_SECONDS):
        limit = f"{CHECK_SECONDS * 1000:.0f}ms"
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (limit,))
        yield connection


def note(connection: Connection, checks: Checks) -> Before:
    """Note what is there, for the checks that compare."""
    before = Before(counts={}, answers={})
    with connection.transaction(force_rollback=True):
        connection.execute(SETTINGS)
        for check in checks.compared:
            asked(connection, check, functools.partial(results.note, connection, check, before))
    return before


def take(connection: Connection, checks: Checks, before: Before | None) -> list[Result]:
    """Ask every check, read-only; without ``before`` those that compare are left out."""
    taken: list[Result] = []
    with connection.transaction(force_rollback=True):
        connection.execute(SETTINGS)
        for check in checks.items:
            if not isinstance(check, Rows | Unchanged):
                ask = functools.partial(results.held, connection, check)
            elif before is not None:
                ask = functools.partial(results.compared, connection, check, before)
            else:
                continue
            taken.append(asked(connection, check, ask))
    return taken


def own_red(checks: Checks, taken: Iterable[Result]) -> list[str]:
    """Return a line for each check that is red, with its place."""
    return [f"{checks.where(each.check)}: {each}" for each in taken if not each.green]


def own_told(report: Report, identity: str, taken: Iterable[Result]) -> None:
    """Report one event a check."""
    for result in taken:
        report(event(identity, result))
