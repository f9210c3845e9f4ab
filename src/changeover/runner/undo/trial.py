"""Try the undoing of SQL migrations on a clone of what is there now, before the live database is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.executors import migrate
from changeover.migrations import definitions
from changeover.outcome import Outcome
from changeover.release import load_releases
from changeover.runner import database
from changeover.runner.rehearse import measurements
from changeover.runner.rehearse.clone import UndoLosesRows, cloned, lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover import steps
    from changeover.database import Database
    from changeover.executors.backup.rehearsal import Look
    from changeover.migrations.records import MigrationFolder
    from changeover.runner.run import Run

DEADLINE_SECONDS = 3600.0
SHOWN_LINES = 40
UNTOUCHED = "the live database was not touched"


def attempt(run: Run, step: steps.Undo) -> Outcome:
    """Undo on a clone of the run's own backup and apply again there: what comes back was not lost.

    What undoing took there is written into the live ledger: it bounds the undoing that follows.

    Raises:
        UndoLosesRows: Rows, definitions or sequences are others afterwards; the live database was
            not touched.
        ChangeoverError: A statement failed on the clone.
    """
    folders = database.folders_of(load_releases(run.root, run.app.app), step.releases)
    observer = migrate.Observer()
    with cloned(run) as clone:
        _there_and_back(step, folders, clone.place, observer)
        again = clone.look()
    _refuse_lossy(step, clone.first, again)
    taken = measurements.taken(observer.seen, folders, clone.first.rows, run.fleet.deployment)
    with database.owner_database(run.environment, run.app) as live:
        migrate.remember(live, [], taken, fence=database.fence(run))
    rows = counted(sum(clone.first.rows.values()), "row")
    milliseconds = sum(each.milliseconds for each in taken)
    return Outcome(
        says=f"on a clone undone and applied again: {rows} as before; undoing took"
        f" {milliseconds:.0f} ms",
        changed=False,
    )


def _there_and_back(
    step: steps.Undo,
    folders: Sequence[MigrationFolder],
    clone: Database,
    observer: migrate.Observer,
) -> None:
    migrate.revert(
        clone,
        *folders,
        only=step.migrations,
        deadline_seconds=DEADLINE_SECONDS,
        observer=observer,
        report=observer.timed,
    )
    migrate.apply(
        clone,
        *folders,
        only=step.migrations,
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
    if gone := lost(first, again):
        raise UndoLosesRows(
            f"undoing {names} would lose what is there now: {', '.join(gone)}",
            hint=f"{UNTOUCHED}: leave it as it is",
        )
