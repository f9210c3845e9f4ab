"""Undo a version's contract migrations by hand, where that is proved to lose nothing; no user is moved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import verdict
from changeover.errors import InvalidInput
from changeover.executors import migrate
from changeover.runner import by_hand, database, safety, undoing
from changeover.steps import Undo

if TYPE_CHECKING:
    from changeover.runner.stages import Context


class UndoLossy(InvalidInput):
    """It is not proved that undoing the migrations loses nothing."""


def revert(context: Context, version: str) -> tuple[str, ...]:
    """Undo what stands of a version's contract migrations, and return the ids in the order they ran.

    Raises:
        UndoLossy: No rehearsal proved that nothing is lost; nothing was changed.
        NewerApplied: Other migrations were applied on top; nothing was changed.
        LockHeld: A deployment, or another hand, holds the lease.
    """
    name = context.environment.name
    host = database.database_host(context.environment, context.declared)
    folders = database.migration_folders(context.releases, version)
    with database.owner_database(context.environment, context.declared) as place:
        standing = {row.id for row in migrate.standing(place)}
        known, fence = migrate.recall(place), migrate.fence(place)
    contract = [each for folder in folders for each in folder.of(("contract",))]
    due = [each for each in contract if each.release == version and each.id in standing]
    if not due or host is None:
        return ()
    found = verdict.undoing(undoing.facts(due, folders, known))
    if found.kind != "revert":
        raise UndoLossy(
            f"{version} is not undone: {found.because}",
            hint=f"changeover backup list --env {name} shows what there is to go back to",
        )
    step = Undo(
        id="undo", hosts=(host.name,), version=version, migrations=tuple(each.id for each in due)
    )
    hint = f"changeover db revert {version} --env {name} goes on"
    with by_hand.leased(context, "db revert", version, hint=hint, beyond=fence) as run:
        run.step(step, partial(safety.undo, run, step))
    return step.migrations
