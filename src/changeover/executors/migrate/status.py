"""Tell, for each migration of a release, how far the database is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from changeover.executors.migrate import ledger
from changeover.executors.migrate.reconcile import STANDING, check_ledger
from changeover.executors.migrate.session import LOOK, connect

if TYPE_CHECKING:
    import datetime as dt

    from changeover.database import Database
    from changeover.executors.migrate.ledger import MigrationRow
    from changeover.migrations.records import Migration, MigrationFolder, Phase

State = Literal["pending", "partial", "applied", "edited", "missing", "reverting", "reverted"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """How far one migration is.

    Args:
        id: Its identity.
        state: ``partial`` and ``reverting`` were cut short: the same command continues them.
        statements: Number of statements in the file; 0 when the file is missing.
        done: How many of them the ledger has as done.
        checksum: sha256 of the file; empty when it is missing.
        recorded: sha256 that the ledger has; empty when it was never begun.
        changed_at: When the ledger's state changed last.
    """

    id: str
    state: State
    statements: int
    done: int
    checksum: str
    recorded: str
    changed_at: dt.datetime | None


def status(database: Database, folder: MigrationFolder) -> tuple[MigrationStatus, ...]:
    """Return every migration of the folder, and those the ledger has beyond it, in order.

    Raises:
        DatabaseUnreachable: Nobody answers.
        DatabaseRefused: The server lets us not in.
    """
    with connect(database, LOOK) as connection:
        if not ledger.exists(connection):
            return tuple(_of_file(migration, None, 0) for migration in folder.migrations)
        known = {found.id: found for found in ledger.migrations(connection)}
        counts = ledger.done_counts(connection)
    names = {migration.id for migration in folder.migrations}
    lost = [
        found
        for found in known.values()
        if found.release == folder.release and found.id not in names and found.state != "reverted"
    ]
    return (
        *(
            _of_file(migration, known.get(migration.id), counts.get(migration.id, 0))
            for migration in folder.migrations
        ),
        *(_missing(found, counts.get(found.id, 0)) for found in lost),
    )


def fence(database: Database) -> int:
    """Return the highest fencing number that the ledger knows; 0 where there is no ledger."""
    with connect(database, LOOK) as connection:
        return ledger.highest(connection) if ledger.exists(connection) else 0


def pending(
    database: Database, folder: MigrationFolder, phases: tuple[Phase, ...]
) -> tuple[Migration, ...]:
    """Return the migrations of these phases that an `apply` would run, changing nothing.

    Raises:
        MigrationEdited, MigrationMissing: The folder is not what the ledger says was run.
    """
    with connect(database, LOOK) as connection:
        if not ledger.exists(connection):
            return folder.of(phases)
        known = {found.id: found for found in ledger.migrations(connection)}
    check_ledger(database, folder, known)
    return tuple(
        migration
        for migration in folder.of(phases)
        if migration.id not in known or known[migration.id].state != "applied"
    )


def standing(database: Database) -> tuple[MigrationRow, ...]:
    """Return what the ledger says was begun and is not undone, in the order it was begun."""
    with connect(database, LOOK) as connection:
        known = ledger.migrations(connection) if ledger.exists(connection) else []
    return tuple(found for found in known if found.state in STANDING)


def _of_file(migration: Migration, found: MigrationRow | None, done: int) -> MigrationStatus:
    return MigrationStatus(
        id=migration.id,
        state=_state(migration, found),
        statements=len(migration.statements),
        done=done,
        checksum=migration.checksum,
        recorded=found.checksum if found else "",
        changed_at=found.changed_at if found else None,
    )


def _state(migration: Migration, found: MigrationRow | None) -> State:
    if found is None:
        return "pending"
    if found.state == "applied":
        return "applied" if migration.ran_as(found.checksum) else "edited"
    if found.state == "reverted":
        return "reverted"
    return "partial" if found.state == "running" else "reverting"


def _missing(found: MigrationRow, done: int) -> MigrationStatus:
    return MigrationStatus(
        id=found.id,
        state="missing",
        statements=0,
        done=done,
        checksum="",
        recorded=found.checksum,
        changed_at=found.changed_at,
    )
