"""Ask the live rows whether they keep what a revert demands of them, changing nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from changeover.agent.postgres.words import without_values
from changeover.executors.migrate.data.checks import SETTINGS
from changeover.executors.migrate.session import LOOK, connect, row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from changeover.database import Database
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.tightening import Demand

ASKED_MILLISECONDS = 10_000  # a person, or a rollback, waits for each answer


def broken(database: Database, demands: Iterable[Demand]) -> list[int | str | None]:
    """Return for each demand how many rows break it, or why that cannot be asked.

    ``None`` stands for one that was not answered in time.

    Raises:
        ChangeoverError: The database cannot be entered.
    """
    with connect(database, LOOK) as connection:
        return [_ask(connection, demand) for demand in demands]


def _ask(connection: Connection, demand: Demand) -> int | str | None:
    if not demand.query:
        return "no query can be written"
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(SETTINGS)
            connection.execute(f"SET LOCAL statement_timeout = {ASKED_MILLISECONDS}")
            found = row(connection, demand.query)
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        return None
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return without_values(error.diag.message_primary or str(error).strip())
    return int(found[0]) if found else 0
