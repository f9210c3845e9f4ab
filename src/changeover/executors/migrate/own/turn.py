"""The turn in which an app's own migrator has the database to itself, and its row in the ledger."""

from __future__ import annotations

import contextlib
import dataclasses
from importlib import resources
from typing import TYPE_CHECKING, Literal, Unpack

from changeover.executors.migrate import ledger
from changeover.executors.migrate.own import checks as own_checks
from changeover.executors.migrate.session import LOOK, connect, row, rows
from changeover.executors.migrate.turn import take_turn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from changeover.database import Database
    from changeover.executors.migrate.data.results import Before, Result
    from changeover.executors.migrate.limits import Limits
    from changeover.executors.migrate.session import Connection
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.checks import Checks

OwnState = Literal["running", "applied", "failed", "undoing", "undone"]
How = Literal["executed", "found"]
EXISTS = "SELECT to_regclass('changeover.own') IS NOT NULL"
FULL = """
    SELECT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND pg_relation_size(c.oid) > 0
          AND n.nspname NOT IN ('information_schema', 'changeover') AND n.nspname NOT LIKE 'pg\\_%'
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'
                          AND d.classid = 'pg_class'::regclass)
    )
"""
ROWS = """
    SELECT release, bundle, state, how, exit, seconds, schema_before, schema_after, undo_proved,
           deployment, backup, host, started_at, changed_at
    FROM changeover.own ORDER BY started_at
"""
# Whatever runs again on top of what stands has the same beginning: the way back leads to that.
BEGIN = """
    INSERT INTO changeover.own AS known (release, bundle, command, state, schema_before, backup,
        undo_proved, deployment, host, fence, runner)
    VALUES (%s, %s, %s, 'running', %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (release) DO UPDATE SET
        schema_before = CASE WHEN known.state = 'undone'
            THEN excluded.schema_before ELSE known.schema_before END,
        backup = CASE WHEN known.state = 'undone' THEN excluded.backup ELSE known.backup END,
        started_at = CASE WHEN known.state = 'undone'
            THEN excluded.started_at ELSE known.started_at END,
        bundle = excluded.bundle, command = excluded.command, state = excluded.state, how = '',
        exit = NULL, seconds = NULL, schema_after = '',
        -- On top of what it did before, its undo leads back to that, and not to the beginning.
        undo_proved = excluded.undo_proved
            AND (known.state = 'undone' OR known.deployment = excluded.deployment
                OR known.schema_before = excluded.schema_before),
        deployment = excluded.deployment, host = excluded.host, fence = excluded.fence,
        runner = excluded.runner, changed_at = clock_timestamp()
"""
# Another build of what stands has nothing left to do: how that went, and what undoes it, stays known.
FOUND = """
    UPDATE changeover.own SET bundle = %s, deployment = %s, undo_proved = undo_proved AND %s,
        fence = %s, runner = %s, changed_at = clock_timestamp()
    WHERE release = %s AND state = 'applied'
"""
UNDOING = """
    UPDATE changeover.own SET state = 'undoing', deployment = %s, host = %s, exit = NULL,
        seconds = NULL, fence = %s, runner = %s, changed_at = clock_timestamp()
    WHERE release = %s
"""
END = """
    UPDATE changeover.own SET state = %s, how = %s, exit = %s, seconds = %s, schema_after = %s,
        fence = %s, runner = %s, changed_at = clock_timestamp()
    WHERE release = %s
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OwnRow:
    """What the ledger knows of one release's own migrator.

    Args:
        release: The version.
        bundle: The sha256 of the bundle that its command came from.
        state: ``running`` and ``undoing`` were cut off or are under way.
        how: ``executed``, or ``found`` where its status had nothing left; empty before the end.
        exit: Its exit code; ``None`` where it was ended, or has not ended.
        seconds: How long it took.
        schema_before: The sha256 of all definitions before it first ran.
        schema_after: The same after its latest run.
        undo_proved: Whether a rehearsal showed that its undo brings everything back.
        deployment: That of the latest run.
        backup: The backup from before it first ran; empty where nothing was live then.
        host: Where it ran.
        started_at: When it first began.
        changed_at: When its state changed last.
    """

    release: str
    bundle: str
    state: OwnState
    how: str
    exit: int | None
    seconds: float | None
    schema_before: str
    schema_after: str
    undo_proved: bool
    deployment: str
    backup: str
    host: str
    started_at: dt.datetime
    changed_at: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is written before a migrator runs."""

    release: str
    bundle: str
    command: Sequence[str]
    schema_before: str
    backup: str
    undo_proved: bool
    deployment: str
    host: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is written once it ended."""

    release: str
    state: OwnState
    how: How
    exit: int | None
    seconds: float | None
    schema_after: str


@dataclasses.dataclass(frozen=True, slots=True)
class OwnTurn:
    """A runner's turn for what is run elsewhere: no other runner works on the database meanwhile."""

    turn: Turn

    def begin(self, begun: Begun) -> None:
        """Write that it is about to run.

        Raises:
            RunnerFenced: A newer deployment has taken over.
        """
        work, mandate = self.turn.work, self.turn.mandate
        with work.transaction():
            ledger.check(work, mandate)
            work.execute(
                BEGIN.encode(),
                (
                    *(begun.release, begun.bundle, list(begun.command), begun.schema_before),
                    *(begun.backup, begun.undo_proved, begun.deployment, begun.host),
                    *(mandate.fence, mandate.runner),
                ),
            )

    def found(self, begun: Begun) -> bool:
        """Write that another build finds what stands; tell whether it was known to stand.

        Raises:
            RunnerFenced: A newer deployment has taken over.
        """
        known = (begun.bundle, begun.deployment, begun.undo_proved)
        return self._write(FOUND, known, begun.release) > 0

    def undoing(self, release: str, deployment: str, host: str) -> None:
        """Write that what it did is about to be undone.

        Raises:
            RunnerFenced: A newer deployment has taken over.
        """
        self._write(UNDOING, (deployment, host), release)

    def _write(self, statement: str, values: tuple[object, ...], release: str) -> int:
        work, mandate = self.turn.work, self.turn.mandate
        with work.transaction():
            ledger.check(work, mandate)
            done = work.execute(
                statement.encode(), (*values, mandate.fence, mandate.runner, release)
            )
        return done.rowcount

    def end(self, ended: Ended) -> None:
        """Write how it ended.

        Raises:
            RunnerFenced: A newer deployment has taken over.
        """
        how = (ended.state, ended.how, ended.exit, ended.seconds, ended.schema_after)
        self._write(END, how, ended.release)

    def note(self, checks: Checks) -> Before:
        """Note what the checks compare with, where nobody else writes."""
        self.turn.limit()
        return own_checks.note(self.turn.work, checks)

    def take(self, checks: Checks, before: Before | None) -> list[Result]:
        """Ask every check; without ``before`` those that compare are left out."""
        self.turn.limit()
        return own_checks.take(self.turn.work, checks, before)


@contextlib.contextmanager
def own_turn(database: Database, **limits: Unpack[Limits]) -> Iterator[OwnTurn]:
    """Wait for the runner lock and give the turn; takes and raises what ``take_turn`` does."""
    with take_turn(database, **limits) as turn:
        if not _exists(turn.work):
            with turn.work.transaction():
                ledger.define(
                    turn.work, resources.files(__package__).joinpath("own.sql").read_bytes()
                )
        yield OwnTurn(turn)


def own_rows(database: Database) -> dict[str, OwnRow]:
    """Return what the ledger knows of apps' own migrators, by release, the oldest first."""
    with connect(database, LOOK) as connection:
        if not _exists(connection):
            return {}
        names = OwnRow.__slots__
        found = [OwnRow(**dict(zip(names, each, strict=True))) for each in rows(connection, ROWS)]
    return {each.release: each for each in found}


def full(database: Database) -> bool:
    """Tell whether tables hold rows that were there before: not while an own migrator is under way.

    A table counts by its pages, which need no right to read it; those of extensions do not.
    """
    with connect(database, LOOK) as connection:
        if _exists(connection) and any(each[2] == "running" for each in rows(connection, ROWS)):
            return False
        found = row(connection, FULL)
    return bool(found and found[0])


def _exists(connection: Connection) -> bool:
    found = row(connection, EXISTS)
    return bool(found and found[0])
