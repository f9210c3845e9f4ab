"""Try the undoing of SQL migrations on a clone of what is there now, before the live database is touched."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.executors import backup as backups
from changeover.executors import migrate
from changeover.executors.backup import rehearsal as clones
from changeover.migrations import definitions
from changeover.release import load_releases
from changeover.runner import database
from changeover.runner.own.undo import UndoLosesRows
from changeover.runner.rehearse.rehearsal import drop
from changeover.steps import Outcome

if TYPE_CHECKING:
    from changeover import steps
    from changeover.database import Database
    from changeover.executors.backup.rehearsal import Look
    from changeover.runner.run import Run

DEADLINE_SECONDS = 3600.0
SHOWN_LINES = 40
UNTOUCHED = "the live database was not touched"


def attempt(run: Run, step: steps.Undo) -> Outcome:
    """Undo on a clone of the run's own backup and apply again there: what comes back was not lost.

    Raises:
        UndoLosesRows: Rows or definitions are others afterwards; the live database was not touched.
        ChangeoverError: A statement failed on the clone.
    """
    vault = backups.vault_of(run.fleet)
    made, first = clones.clone(vault, run.fleet.deployment)
    try:
        with database.owner_database(run.environment, run.app) as live:
            _there_and_back(run, step, dataclasses.replace(live, name=made.database))
        again = clones.look(vault, made)
    except BaseException:
        drop(run, vault, made)
        raise
    clones.drop(vault, made)
    _refuse_lossy(step, first, again)
    rows = counted(sum(first.rows.values()), "row")
    return Outcome(says=f"on a clone undone and applied again: {rows} as before", changed=False)


def _there_and_back(run: Run, step: steps.Undo, clone: Database) -> None:
    folders = database.migration_folders(load_releases(run.root, run.app.app), step.version)
    for folder in reversed(folders):
        migrate.revert(
            clone,
            folder,
            only=step.migrations,
            deadline_seconds=DEADLINE_SECONDS,
            report=lambda _: None,
        )
    for folder in folders:
        if any(each.id in step.migrations for each in folder.migrations):
            migrate.apply(
                clone,
                folder,
                phases=("contract",),
                deadline_seconds=DEADLINE_SECONDS,
                report=lambda _: None,
            )


def _refuse_lossy(step: steps.Undo, first: Look, again: Look) -> None:
    names = ", ".join(step.migrations)
    lines = definitions.difference(first.schema, again.schema, SHOWN_LINES)
    if lines:
        raise UndoLosesRows(
            f"undoing {names} and applying it again makes another schema",
            hint=f"{UNTOUCHED}: correct the revert files, and rehearse them",
            cause=lines,
        )
    lost = [
        f"{table} ({counted(first.rows.get(table, 0), 'row')} now, {again.rows.get(table, 0)} kept)"
        for table, value in sorted(first.fingerprints.items())
        if again.fingerprints.get(table) != value
    ]
    if lost:
        raise UndoLosesRows(
            f"undoing {names} would lose what is there now: {', '.join(lost)}",
            hint=f"{UNTOUCHED}: leave it as it is",
        )
