"""Compare a release's folder with the ledger: what is to do, and what does not fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors.migrate.failures import (
    MigrationEdited,
    MigrationMissing,
    NewerApplied,
    PhaseSkipped,
    RevertMissing,
)
from changeover.migrations.records import PHASES, Phase

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from changeover.database import Database
    from changeover.executors.migrate.ledger import MigrationRow, StatementRow
    from changeover.migrations.records import Migration, MigrationFolder

STANDING = {"applied", "running", "reverting"}


def check_ledger(
    database: Database, folder: MigrationFolder, known: Mapping[str, MigrationRow]
) -> None:
    """Refuse a folder that lacks or has changed what the ledger says was run.

    Raises:
        MigrationEdited: A file's content is not the one that was applied.
        MigrationMissing: A file is gone.
    """
    files = {migration.id: migration for migration in folder.migrations}
    for row in known.values():
        if row.release != folder.release or row.state == "reverted":
            continue
        migration = files.get(row.id)
        if migration is None:
            raise MigrationMissing(
                f"{database.name} has {row.id} {row.state}, and {folder.path} lacks it",
                host=database.shown_host,
                hint=f"bring the file with sha256 {row.checksum} back into {folder.path}",
            )
        if row.state == "applied" and not migration.ran_as(row.checksum):
            raise edited(database, migration, row.checksum)


def check_statements(
    database: Database, migration: Migration, row: MigrationRow, done: Mapping[int, StatementRow]
) -> None:
    """Refuse an interrupted migration whose statements that already ran have another text now.

    Raises:
        MigrationEdited: One of them was changed or removed; those not yet run may be corrected.
    """
    texts = {statement.number: statement.sql for statement in migration.statements}
    if any(texts.get(number) != found.sql for number, found in done.items()):
        raise edited(database, migration, row.checksum)


def edited(database: Database, migration: Migration, recorded: str) -> MigrationEdited:
    """Return the failure that names the file and both checksums."""
    checks = f" or {migration.checks.path.name}" if migration.checks else ""
    return MigrationEdited(
        f"{migration.path}{checks} was changed after it ran on {database.name}",
        host=database.shown_host,
        cause=f"sha256 then {recorded}, now {migration.checksum}",
        hint="restore the file, and write the correction as the next migration",
    )


def to_apply(
    folder: MigrationFolder, phases: tuple[Phase, ...], known: Mapping[str, MigrationRow]
) -> list[Migration]:
    """Return what is not applied yet, in the order it runs.

    Raises:
        PhaseSkipped: An earlier phase is not done and was not asked for.
    """
    pending = [
        migration
        for migration in folder.migrations
        if migration.id not in known or known[migration.id].state != "applied"
    ]
    chosen = [migration for migration in pending if migration.phase in phases]
    if chosen:
        reach = PHASES.index(chosen[-1].phase)
        for migration in pending:
            if migration.phase not in phases and PHASES.index(migration.phase) < reach:
                raise PhaseSkipped(
                    f"{migration.id} is not applied, and {chosen[-1].phase} comes after it",
                    hint=f"run the phase {migration.phase} first:"
                    f" `changeover db migrate {folder.release} --phase {migration.phase}`",
                )
    return chosen


def to_revert(
    folders: Iterable[MigrationFolder],
    phases: tuple[Phase, ...],
    known: Mapping[str, MigrationRow],
    only: Collection[str] | None = None,
) -> list[Migration]:
    """Return what stands in the database and is to be undone, newest first.

    Args:
        folders: The migrations of releases.
        phases: Which of them.
        known: What the ledger knows.
        only: Their ids, where not all of these phases are meant.

    Raises:
        RevertMissing: One of them has no revert file.
        NewerApplied: Another release was applied on top.
    """
    standing = {name: row for name, row in known.items() if row.state in STANDING}
    chosen = [
        migration
        for folder in folders
        for migration in folder.of(phases)
        if migration.id in standing and (only is None or migration.id in only)
    ]
    for migration in chosen:
        if not migration.revert:
            raise RevertMissing(
                f"{migration.id} cannot be undone: {migration.path.with_suffix('.revert.sql')}"
                " does not exist",
                hint="going back from here takes the backup: `changeover rollback --restore-db`",
            )
    if chosen:
        oldest = min(chosen, key=lambda migration: standing[migration.id].position)
        undone = {migration.id for migration in chosen}
        for row in standing.values():
            if row.position > standing[oldest.id].position and row.id not in undone:
                raise NewerApplied(
                    f"{row.id} was applied on top of {oldest.id}",
                    hint=f"undo {row.release} first",
                )
    chosen.sort(key=lambda migration: standing[migration.id].position, reverse=True)
    return chosen
