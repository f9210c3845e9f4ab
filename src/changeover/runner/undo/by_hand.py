"""Undo a version's migrations by hand, where that is proved to lose nothing; no user is moved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import steps, verdict
from changeover.colour import version_of
from changeover.errors import InvalidInput
from changeover.executors import migrate
from changeover.release import lineage
from changeover.runner import by_hand, database
from changeover.runner.deployment import safety
from changeover.runner.fleet import agreement, survey
from changeover.runner.undo import judgement as undoing
from changeover.runner.undo import rows
from changeover.runner.undo import trial as undo_trial

if TYPE_CHECKING:
    from changeover.runner.context import Context


class UndoLossy(InvalidInput):
    """It is not proved that undoing the migrations loses nothing."""


def revert(context: Context, version: str) -> tuple[str, ...]:
    """Undo what stands of a version's migrations, and return the ids in the order they ran.

    Of a version that is live, or was before the live one, that is contract alone: users need the rest.
    It is tried first on a clone of a proved backup of what is there now.

    Raises:
        UndoLossy: No rehearsal proved that nothing is lost, or nothing is live; nothing was changed.
        UndoLosesRows: On the clone rows are lost; the live database was not touched.
        NewerApplied: Other migrations were applied on top; nothing was changed.
        LockHeld: A deployment, or another hand, holds the lease.
    """
    name = context.environment.name
    host = database.database_host(context.environment, context.declared)
    folders = database.migration_folders(context.releases, version)
    with database.owner_database(context.environment, context.declared) as place:
        rows_ran = migrate.standing(place)
        known, fence = migrate.recall(place), migrate.fence(place)
    ran = [
        each
        for folder in folders
        for each in folder.migrations
        if each.release == version and each.id in {row.id for row in rows_ran}
    ]
    if not ran or host is None:
        return ()
    live = _live(context, version)
    used = version in lineage(context.releases, version_of(live))
    due = [each for each in ran if each.phase == "contract" or not used]
    if not due:
        return ()
    with database.owner_database(context.environment, context.declared) as place:
        facts = rows.asked(place, rows_ran, undoing.facts(due, folders, known), folders)
    found = verdict.undoing(facts)
    if found.kind != "revert":
        raise UndoLossy(
            f"{version} is not undone: {found.because}",
            hint=f"changeover backup list --env {name} shows what there is to go back to",
        )
    backup = by_hand.backup(host, live)
    names = tuple(each.id for each in due)
    trial = steps.Undo(id="rehearse", hosts=(host.name,), version=version, migrations=names)
    step = steps.Undo(id="undo", hosts=(host.name,), version=version, migrations=names, final=True)
    hint = f"changeover db revert {version} --env {name} goes on"
    with by_hand.leased(context, "db revert", version, hint=hint, beyond=fence) as run:
        run.step(backup, partial(safety.backup, run, backup))
        run.step(trial, partial(undo_trial.attempt, run, trial))
        run.step(step, partial(safety.undo, run, step))
    return names


def _live(context: Context, version: str) -> str:
    """Return the colour that is live: its configuration goes into the backup.

    Raises:
        UndoLossy: There is none.
    """
    run, name = context.run(), context.environment.name
    states = survey.host_states(run.fleet, run.lease_hosts)
    run.fleet.close()
    live = agreement.settled(states.values(), name)
    if live is None:
        raise UndoLossy(
            f"{version} is not undone: nothing is live, so no backup of what serves can be made",
            hint=f"changeover status --env {name}",
        )
    return live
