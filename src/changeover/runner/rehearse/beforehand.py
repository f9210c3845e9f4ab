"""What `db migrate` does first where migrations do more than add: a proved backup, and a rehearsal on its clone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import steps, verdict
from changeover.errors import InvalidInput
from changeover.executors import migrate
from changeover.runner import by_hand, database
from changeover.runner.deployment import safety
from changeover.runner.fleet import agreement, survey
from changeover.runner.rehearse import rehearsal
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from changeover.runner.context import Context
    from changeover.runner.run import Run
    from changeover.steps.step import Phase


class NothingToGoBackTo(InvalidInput):
    """Migrations do more than add, and nothing is live that a backup could be made of."""


def steps_before(
    context: Context, version: str, phases: tuple[Phase, ...]
) -> tuple[steps.Backup, steps.Rehearse] | None:
    """Return what comes before pending migrations by hand; ``None`` where they only add, or none is.

    Args:
        context: What the verb works with.
        version: The release whose migrations are to run.
        phases: Which of them.

    Raises:
        NothingToGoBackTo: They do more, and no version is live.
    """
    folders = database.migration_folders(context.releases, version)
    with database.owner_database(context.environment, context.declared) as place:
        due = [each for folder in folders for each in migrate.pending(place, folder, phases)]
        found = verdict.judge(undoing.facts(due, folders, migrate.recall(place)))
    host = database.database_host(context.environment, context.declared)
    if found.kind == "instant" or host is None:
        return None
    name = context.environment.name
    run = context.run()
    states = survey.host_states(run.fleet, run.lease_hosts)
    run.fleet.close()
    live = agreement.settled(states.values(), name)
    if live is None:
        raise NothingToGoBackTo(
            f"{version} does more than add, and nothing is live that a backup could be made of:"
            f" {found.because}",
            hint=f"changeover deploy {version} --env {name} runs them, under a proved backup",
        )
    names = tuple(each.id for each in due)
    rehearse = steps.Rehearse(id="rehearse", hosts=(host.name,), phases=phases, migrations=names)
    return by_hand.backup(host, live), rehearse


def prove(run: Run, before: tuple[steps.Backup, steps.Rehearse]) -> None:
    """Back up what is live, prove that, and try the migrations on a clone of it.

    Raises:
        RehearsalRed: They fail on the clone; the live database was not touched.
    """
    backup, trial = before
    run.step(backup, partial(safety.backup, run, backup))
    run.step(trial, partial(rehearsal.rehearse, run, trial))
