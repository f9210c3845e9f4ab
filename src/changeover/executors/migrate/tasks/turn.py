"""A row of the ledger for each task that a release runs: written before it begins and after it ended.

It lies in the app's database, so that a backup that is swapped in knows what had been done by then.
"""

from __future__ import annotations

import contextlib
import dataclasses
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, Unpack

from psycopg.types.json import Jsonb

from changeover.executors.migrate import ledger
from changeover.executors.migrate.session import LOOK, connect, row, rows
from changeover.executors.migrate.turn import take_turn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from changeover.database import Database
    from changeover.executors.migrate.limits import Limits
    from changeover.executors.migrate.session import Connection
    from changeover.executors.migrate.turn import Turn

TaskState = Literal["running", "done", "failed", "half done", "undoing", "undone"]
EXISTS = "SELECT to_regclass('changeover.task') IS NOT NULL"
ROWS = """
    SELECT release, run, task, given, state, exit, seconds, colour, deployment, host, started_at
    FROM changeover.task ORDER BY started_at, run
"""
BEGIN = """
    INSERT INTO changeover.task (release, run, task, given, state, colour, deployment, host, fence, runner)
    VALUES (%s, %s, %s, %s, 'running', %s, %s, %s, %s, %s)
    ON CONFLICT (release, run) DO UPDATE SET
        task = excluded.task, given = excluded.given, state = excluded.state, exit = NULL,
        seconds = NULL, answer = NULL, colour = excluded.colour, deployment = excluded.deployment,
        host = excluded.host, fence = excluded.fence, runner = excluded.runner,
        started_at = clock_timestamp(), changed_at = clock_timestamp()
"""
UNDOING = """
    UPDATE changeover.task SET state = 'undoing', deployment = %s, host = %s, exit = NULL,
        seconds = NULL, answer = NULL, fence = %s, runner = %s, changed_at = clock_timestamp()
    WHERE release = %s AND run = %s
"""
END = """
    UPDATE changeover.task SET state = %s, exit = %s, seconds = %s, answer = %s, fence = %s,
        runner = %s, changed_at = clock_timestamp()
    WHERE release = %s AND run = %s
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """What the ledger knows of one run of a task that a release asks for.

    Args:
        release: The version.
        run: What the release calls it.
        task: The task.
        given: Its values.
        state: ``running`` and ``undoing`` were cut off or are under way.
        exit: The exit code of the latest run; ``None`` where it was ended, or has not ended.
        seconds: How long that took.
        colour: The colour whose code it ran.
        deployment: That of the latest run.
        host: Where that was.
        started_at: When that began.
    """

    release: str
    run: str
    task: str
    given: Mapping[str, str]
    state: TaskState
    exit: int | None
    seconds: float | None
    colour: str
    deployment: str
    host: str
    started_at: dt.datetime

    @property
    def id(self) -> str:
        """What plans and messages call it."""
        return f"{self.release}/{self.run}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskBegun:
    """What is written before a task runs."""

    release: str
    run: str
    task: str
    given: Mapping[str, str]
    colour: str
    deployment: str
    host: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """What is written once it ended."""

    state: TaskState
    exit: int | None
    seconds: float
    answer: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True, slots=True)
class TaskTurn:
    """A runner's turn at the ledger's rows of tasks."""

    turn: Turn

    def begin(self, begun: TaskBegun) -> None:
        """Write that it is about to run.

        Raises:
            RunnerFenced: A newer deployment has taken over.
        """
        about = (begun.release, begun.run, begun.task, Jsonb(dict(begun.given)))
        where = (begun.colour, begun.deployment, begun.host)
        self._write(BEGIN, (*about, *where), ())

    def undoing(self, release: str, run: str, deployment: str, host: str) -> None:
        """Write that what it did is about to be taken back; raises as ``begin`` does."""
        self._write(UNDOING, (deployment, host), (release, run))

    def end(self, release: str, run: str, ended: TaskEnded) -> None:
        """Write how it ended; raises as ``begin`` does."""
        answer = None if ended.answer is None else Jsonb(dict(ended.answer))
        self._write(END, (ended.state, ended.exit, ended.seconds, answer), (release, run))

    def _write(self, statement: str, values: tuple[object, ...], key: tuple[str, ...]) -> None:
        work, mandate = self.turn.work, self.turn.mandate
        with work.transaction():
            ledger.check(work, mandate)
            work.execute(statement.encode(), (*values, mandate.fence, mandate.runner, *key))


@contextlib.contextmanager
def task_turn(database: Database, **limits: Unpack[Limits]) -> Iterator[TaskTurn]:
    """Wait for the runner lock and give the turn; takes and raises what ``take_turn`` does."""
    with take_turn(database, **limits) as turn:
        if not _exists(turn.work):
            with turn.work.transaction():
                ledger.define(
                    turn.work, resources.files(__package__).joinpath("tasks.sql").read_bytes()
                )
        yield TaskTurn(turn)


def task_rows(database: Database) -> list[TaskRow]:
    """Return what the ledger knows of the tasks that releases run, in the order they began."""
    with connect(database, LOOK) as connection:
        if not _exists(connection):
            return []
        names = TaskRow.__slots__
        return [TaskRow(**dict(zip(names, each, strict=True))) for each in rows(connection, ROWS)]


def _exists(connection: Connection) -> bool:
    found = row(connection, EXISTS)
    return bool(found and found[0])
