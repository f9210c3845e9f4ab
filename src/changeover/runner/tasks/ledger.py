"""The ledger's rows of tasks, each write in a turn of its own: none is held while a program runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from changeover.executors import migrate
from changeover.runner import database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.executors.migrate import TaskRow, TaskTurn
    from changeover.runner.run import Run

TURN_SECONDS = 600.0


def rows(run: Run) -> list[TaskRow]:
    """Return what the ledger knows, in the order the tasks began; nothing for an app without a database.

    Raises:
        ChangeoverError: The database does not answer.
    """
    if database.database_host(run.environment, run.app) is None:
        return []
    with database.owner_database(run.environment, run.app) as place:
        return migrate.task_rows(place)


@contextlib.contextmanager
def turn(run: Run) -> Iterator[TaskTurn]:
    """Give the turn to write, held to the run's fencing number.

    Raises:
        RunnerFenced: A newer deployment has taken over.
        RunnerBusy: Another runner is at the database.
    """
    with (
        database.owner_database(run.environment, run.app) as place,
        migrate.task_turn(
            place, fence=database.fence(run), deadline_seconds=TURN_SECONDS, report=run.report
        ) as held,
    ):
        yield held
