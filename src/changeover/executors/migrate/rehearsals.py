"""Remember in the ledger what a rehearsal measured and proved, for whoever asks later, from wherever."""

from __future__ import annotations

import dataclasses
from importlib import resources
from typing import TYPE_CHECKING, Unpack

from psycopg.types.json import Jsonb

from changeover.executors.migrate import coexisting, ledger
from changeover.executors.migrate.session import LOOK, connect, row, rows
from changeover.executors.migrate.turn import take_turn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from changeover.database import Database
    from changeover.executors.migrate.coexisting import Coexisting
    from changeover.executors.migrate.ledger import Direction
    from changeover.executors.migrate.limits import Limits
    from changeover.executors.migrate.moves import Place
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Migration, Statement

EXISTS = "SELECT to_regclass('changeover.measurement') IS NOT NULL"
# A ledger from before undoing was measured has no direction: what it measured ran forwards.
DIRECTED = """
    SELECT count(*) > 0 FROM pg_attribute
    WHERE attrelid = 'changeover.measurement'::regclass AND attname = 'direction'
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What a rehearsal found of one thing that can be undone.

    Args:
        subject: The migration's id, or another name of what is undone.
        digest: sha256 of what was rehearsed, its undoing included.
        lossless: Whether definitions and rows were as before once it was undone.
        because: What was different, where something was.
        deployment: The deployment that rehearsed it.
        at: When it was written down; None before it is.
    """

    subject: str
    digest: str
    lossless: bool
    because: str
    deployment: str
    at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A table that was there before, and on whose lock somebody would wait.

    Args:
        table: Its name.
        mode: The lock, such as ``ACCESS EXCLUSIVE``.
        rows: Its rows.
        size_bytes: With indexes.
        who_waits: Who would wait, in words.
    """

    table: str
    mode: str
    rows: int
    size_bytes: int
    who_waits: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one statement took in a rehearsal.

    Args:
        migration: Id of its migration.
        number: Its place in the file.
        digest: sha256 of its text.
        milliseconds: How long it ran.
        held_milliseconds: From its beginning to the end of its transaction.
        locks: Where somebody would wait for it.
        rewritten: The tables that it wrote anew.
        deployment: The deployment that rehearsed it.
        at: When it was written down; None before it is.
        direction: Whether it applies its migration or undoes it.
    """

    migration: str
    number: int
    digest: str
    milliseconds: float
    held_milliseconds: float
    locks: tuple[Met, ...]
    rewritten: tuple[str, ...]
    deployment: str
    at: dt.datetime | None = None
    direction: Direction = "apply"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsals:
    """What rehearsals have left in the ledger.

    Args:
        undone: What is known of undoing, by subject.
        measured: What statements took, by migration, direction and number.
        now: The server's clock, for how old that is.
        coexisting: What is known of the old version beside migrations, by their ids.
    """

    undone: Mapping[str, Undo]
    measured: Mapping[Place, Measured]
    now: dt.datetime
    coexisting: Mapping[str, Coexisting] = dataclasses.field(default_factory=dict)

    def undo(self, subject: str, digest: str) -> Undo | None:
        """Return what is known of undoing exactly this content."""
        found = self.undone.get(subject)
        return found if found is not None and found.digest == digest else None

    def beside(self, migration: str, digest: str) -> Coexisting | None:
        """Return what is known of the old version beside exactly this content, where it worked."""
        found = self.coexisting.get(migration)
        return found if found is not None and found.works and found.digest == digest else None

    def of(
        self, migration: str, number: int, digest: str, direction: Direction = "apply"
    ) -> Measured | None:
        """Return what exactly this statement took."""
        found = self.measured.get((migration, direction, number))
        return found if found is not None and found.digest == digest else None

    def exactly(self, migrations: Iterable[Migration]) -> dict[tuple[str, int], Measured]:
        """Return what applying exactly these migrations took, by migration and number."""
        return {
            (name, number): found
            for (name, direction, number), found in self._of_all(migrations).items()
            if direction == "apply"
        }

    def bounds(self, migrations: Iterable[Migration]) -> dict[Place, float]:
        """Return the milliseconds that exactly these statements took, forwards and back: what bounds a run."""
        return {place: found.milliseconds for place, found in self._of_all(migrations).items()}

    def _of_all(self, migrations: Iterable[Migration]) -> dict[Place, Measured]:
        ways: list[tuple[Migration, Direction, Statement]] = []
        for migration in migrations:
            ways += [(migration, "apply", each) for each in migration.statements]
            ways += [(migration, "revert", each) for each in migration.revert]
        found = {
            (migration.id, direction, each.number): self.of(
                migration.id, each.number, each.digest, direction
            )
            for migration, direction, each in ways
        }
        return {place: each for place, each in found.items() if each is not None}


def remember(
    database: Database,
    undone: Sequence[Undo],
    measured: Sequence[Measured],
    beside: Sequence[Coexisting] = (),
    **limits: Unpack[Limits],
) -> None:
    """Write what a rehearsal found into the live ledger; what it knew of the same is replaced.

    Raises:
        ChangeoverError: One of the leaves in `failures`; nothing was written.
    """
    with take_turn(database, **limits) as turn, turn.work.transaction():
        ledger.check(turn.work, turn.mandate)
        _prepare(turn.work)
        for undo in undone:
            _write_undo(turn.work, undo, turn.mandate.fence)
        for each in measured:
            _write_measured(turn.work, each, turn.mandate.fence)
        coexisting.write(turn.work, beside, turn.mandate.fence)


def recall(database: Database) -> Rehearsals:
    """Return what rehearsals have left; nothing where there was none."""
    with connect(database, LOOK) as connection:
        clock = row(connection, "SELECT clock_timestamp()")
        if clock is None:
            raise AssertionError
        if not _exists(connection):
            return Rehearsals(undone={}, measured={}, now=clock[0])
        undone = _undone(connection)
        measured = _measured(connection)
        beside = coexisting.read(connection)
    return Rehearsals(
        undone={each.subject: each for each in undone},
        measured={(each.migration, each.direction, each.number): each for each in measured},
        now=clock[0],
        coexisting={each.migration: each for each in beside},
    )


def _prepare(connection: Connection) -> None:
    """Make the tables where there are none, and have those of an older ledger tell the direction."""
    files = resources.files(__package__)
    if not _exists(connection):
        ledger.define(connection, files.joinpath("rehearsals.sql").read_bytes())
    elif row(connection, DIRECTED) == (False,):
        connection.execute(files.joinpath("rehearsals_directed.sql").read_bytes())


def _exists(connection: Connection) -> bool:
    found = row(connection, EXISTS)
    return bool(found and found[0])


def _write_undo(connection: Connection, undo: Undo, fence: int) -> None:
    connection.execute(
        """
        INSERT INTO changeover.undo (subject, digest, lossless, because, deployment, fence)
        VALUES (%s, %s, %s, %s, %s, %s)
        ON CONFLICT (subject) DO UPDATE SET digest = excluded.digest,
            lossless = excluded.lossless, because = excluded.because,
            deployment = excluded.deployment, fence = excluded.fence, at = clock_timestamp()
        """,
        (undo.subject, undo.digest, undo.lossless, undo.because, undo.deployment, fence),
    )


def _write_measured(connection: Connection, each: Measured, fence: int) -> None:
    locks = Jsonb([dataclasses.asdict(lock) for lock in each.locks])
    connection.execute(
        """
        INSERT INTO changeover.measurement (migration_id, direction, number, digest, milliseconds,
            held_milliseconds, locks, rewritten, deployment, fence)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (migration_id, direction, number) DO UPDATE SET digest = excluded.digest,
            milliseconds = excluded.milliseconds, held_milliseconds = excluded.held_milliseconds,
            locks = excluded.locks, rewritten = excluded.rewritten,
            deployment = excluded.deployment, fence = excluded.fence, at = clock_timestamp()
        """,
        (
            *(each.migration, each.direction, each.number, each.digest, each.milliseconds),
            *(each.held_milliseconds, locks, list(each.rewritten), each.deployment, fence),
        ),
    )


def _undone(connection: Connection) -> list[Undo]:
    query = "SELECT subject, digest, lossless, because, deployment, at FROM changeover.undo"
    names = ("subject", "digest", "lossless", "because", "deployment", "at")
    return [Undo(**dict(zip(names, found, strict=True))) for found in rows(connection, query)]


def _measured(connection: Connection) -> list[Measured]:
    # The column is asked by its name, since an older ledger has none.
    query = """
        SELECT migration_id, number, digest, milliseconds, held_milliseconds, locks, rewritten,
            deployment, at, coalesce(to_jsonb(known) ->> 'direction', 'apply')
        FROM changeover.measurement AS known
    """
    names = tuple(each.name for each in dataclasses.fields(Measured))
    found = [dict(zip(names, values, strict=True)) for values in rows(connection, query)]
    for each in found:
        each["locks"] = tuple(Met(**lock) for lock in each["locks"])
        each["rewritten"] = tuple(each["rewritten"])
    return [Measured(**each) for each in found]
