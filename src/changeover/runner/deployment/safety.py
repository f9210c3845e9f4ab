"""The database steps: a proved backup, migrations, and the swap back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import Failed
from changeover.executors import backup as backups
from changeover.executors import migrate as migrations
from changeover.outcome import Outcome
from changeover.release import load_releases
from changeover.runner import database
from changeover.runner.backups.points import Points

if TYPE_CHECKING:
    from collections.abc import Iterable

    from changeover.migrations.records import Migration, MigrationFolder
    from changeover.runner.run import Run
    from changeover.steps import Backup, Migrate, RestoreDatabase, Undo

MEGABYTE = 1_000_000
DEADLINE_SECONDS = 3600.0


def backup(run: Run, step: Backup, name: str | None = None) -> Outcome:
    """Dump the database, attach the live configuration encrypted, and prove it by a restore.

    The backup's id is the deployment's unless it is given a ``name``.
    """
    made = backups.create(
        backups.vault_of(run.fleet),
        name or run.fleet.deployment,
        release=step.version,
        colour=step.colour or None,
        schema_version=step.version,
        keep=step.keep,
    )
    return Outcome(
        says=f"{made.backup}: {made.bytes / MEGABYTE:.1f} MB, {counted(made.rows, 'row')} in "
        f"{counted(made.tables, 'table')} restored beside the live ones and equal",
        figures={"bytes": made.bytes, "rows": made.rows},
    )


def migrate(run: Run, step: Migrate) -> Outcome:
    """Run the pending migrations of the step's phases, release by release."""
    if run.release is None:
        raise Failed("the run has no release", hint="changeover deploy VERSION")
    releases = load_releases(run.root, run.app.app)
    points = Points(run, len(step.migrations))
    folders = database.migration_folders(releases, run.release.version)
    with database.owner_database(run.environment, run.app) as place:
        known = migrations.recall(place)
        outcome = migrations.apply(
            place,
            *folders,
            phases=step.phases,
            before=points.before,
            fence=database.fence(run),
            deadline_seconds=DEADLINE_SECONDS,
            report=run.report,
            # A first deployment finds an empty database: nothing was rehearsed, and nobody waits.
            rehearsed=known.bounds(_all_of(folders)) if known.measured else None,
        )
    return Outcome(
        says=_counted(outcome) + points.told(),
        changed=bool(outcome.done),
        figures={"migrations": len(outcome.done), "retries": outcome.retries},
    )


def undo(run: Run, step: Undo) -> Outcome:
    """Undo the step's migrations by their revert files, the newest first, within one deadline."""
    releases = load_releases(run.root, run.app.app)
    # An older release's contract may have come on top of a newer one's expand.
    touched = database.folders_of(releases, step.releases)
    points = Points(run, len(step.migrations))
    with database.owner_database(run.environment, run.app) as place:
        outcome = migrations.revert(
            place,
            *touched,
            only=step.migrations,
            before=points.before,
            fence=database.fence(run),
            deadline_seconds=DEADLINE_SECONDS,
            report=run.report,
            rehearsed=migrations.recall(place).bounds(_all_of(touched)),
        )
    return Outcome(
        says=f"{', '.join(outcome.done) or 'nothing'} undone,"
        f" {counted(outcome.retries, 'lock retry', 'lock retries')}{points.told()}",
        changed=bool(outcome.done),
        figures={"migrations": len(outcome.done), "retries": outcome.retries},
    )


def redo(run: Run, step: Undo) -> tuple[str, ...]:
    """Apply again what a version does not run without, after a step that undid it; return the ids.

    However long that takes: users are on a version that lacks it meanwhile.
    """
    releases = load_releases(run.root, run.app.app)
    with database.owner_database(run.environment, run.app) as place:
        return migrations.apply(
            place,
            *database.migration_folders(releases, step.version),
            phases=("expand", "backfill"),
            fence=database.fence(run),
            deadline_seconds=DEADLINE_SECONDS,
            report=run.report,
        ).done


def _all_of(folders: Iterable[MigrationFolder]) -> list[Migration]:
    return [migration for folder in folders for migration in folder.migrations]


def _counted(outcome: migrations.MigrateOutcome) -> str:
    retries = counted(outcome.retries, "lock retry", "lock retries")
    return f"{counted(len(outcome.done), 'migration')}, {retries}"


def restore(run: Run, step: RestoreDatabase) -> Outcome:
    """Make the backup the live database; the one that was live is kept under another name."""
    restored = backups.restore(backups.vault_of(run.fleet), step.backup)
    for warning in restored.warnings:
        run.note({"type": "warning", "says": f"warning: {warning}"})
    return Outcome(
        says=f"{restored.happened}; {restored.left}",
        figures={
            "refused_seconds": restored.refused_seconds or 0.0,
            "rows_lost": restored.rows_lost,
        },
    )
