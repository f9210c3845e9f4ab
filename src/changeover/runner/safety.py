"""The database steps: a proved backup, migrations, and the swap back."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import Failed
from changeover.executors import backup as backups
from changeover.executors import migrate as migrations
from changeover.release import load_releases
from changeover.runner import database
from changeover.runner.points import Points
from changeover.steps import Outcome

if TYPE_CHECKING:
    from changeover.runner.run import Run
    from changeover.steps import Backup, Migrate, RestoreDatabase, Undo

MEGABYTE = 1_000_000
DEADLINE_SECONDS = 3600.0


def backup(run: Run, step: Backup) -> Outcome:
    """Dump the database, attach the live configuration encrypted, and prove it by a restore."""
    made = backups.create(
        backups.vault_of(run.fleet),
        run.fleet.deployment,
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
    done: list[str] = []
    retries = 0
    points = Points(run, len(step.migrations))
    with database.owner_database(run.environment, run.app) as place:
        for folder in database.migration_folders(releases, run.release.version):
            outcome = migrations.apply(
                place,
                folder,
                phases=step.phases,
                before=points.before,
                fence=database.fence(run),
                deadline_seconds=DEADLINE_SECONDS,
                report=run.report,
                rehearsed=run.rehearsed,
            )
            done += outcome.done
            retries += outcome.retries
    return Outcome(
        says=f"{counted(len(done), 'migration')}, {counted(retries, 'lock retry', 'lock retries')}"
        + points.told(),
        changed=bool(done),
        figures={"migrations": len(done), "retries": retries},
    )


def undo(run: Run, step: Undo) -> Outcome:
    """Undo the step's migrations by their revert files, the newest first."""
    releases = load_releases(run.root, run.app.app)
    folders = {each.release: each for each in database.migration_folders(releases, step.version)}
    points = Points(run, len(step.migrations))
    done: list[str] = []
    retries = 0
    with database.owner_database(run.environment, run.app) as place:
        # An older release's contract may have come on top of a newer one's expand.
        for release, names in groupby(reversed(step.migrations), _release):
            outcome = migrations.revert(
                place,
                folders[release],
                only=tuple(names),
                before=points.before,
                fence=database.fence(run),
                deadline_seconds=DEADLINE_SECONDS,
                report=run.report,
            )
            done += outcome.done
            retries += outcome.retries
    return Outcome(
        says=f"{', '.join(done) or 'nothing'} undone, {counted(retries, 'lock retry', 'lock retries')}"
        + points.told(),
        changed=bool(done),
        figures={"migrations": len(done), "retries": retries},
    )


def redo(run: Run, step: Undo) -> tuple[str, ...]:
    """Apply again what a version does not run without, after a step that undid it; return the ids."""
    releases = load_releases(run.root, run.app.app)
    done: list[str] = []
    with database.owner_database(run.environment, run.app) as place:
        for folder in database.migration_folders(releases, step.version):
            outcome = migrations.apply(
                place,
                folder,
                phases=("expand", "backfill"),
                fence=database.fence(run),
                deadline_seconds=DEADLINE_SECONDS,
                report=run.report,
            )
            done += outcome.done
    return tuple(done)


def _release(migration: str) -> str:
    return migration.partition("/")[0]


def restore(run: Run, step: RestoreDatabase) -> Outcome:
    """Make the backup the live database; the one that was live is kept under another name."""
    restored = backups.restore(backups.vault_of(run.fleet), step.backup)
    refused = restored.refused_seconds or 0.0
    return Outcome(
        says=f"{restored.backup} is live after {refused:.2f} s of refused connections; {restored.left}",
        figures={"refused_seconds": refused, "rows_lost": restored.rows_lost},
    )
