"""A rehearsal by hand, before any deployment: back up what is live, and try a version's migrations on a clone of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import InvalidInput
from changeover.executors import migrate
from changeover.runner import by_hand, database
from changeover.runner.deployment import forecast
from changeover.runner.deployment.apply import apply
from changeover.runner.fleet import agreement, survey
from changeover.runner.own import migrator as own
from changeover.runner.rehearse import beforehand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.release import Release
    from changeover.runner.context import Context
    from changeover.steps.step import Phase


class NothingToRehearseOn(InvalidInput):
    """No version is live, or the app has no database."""


def rehearse(context: Context, version: str, phases: Sequence[Phase]) -> str:
    """Rehearse what a version would migrate, and return what that came to.

    Raises:
        NothingToRehearseOn: No version is live, or the app has no database.
        RehearsalRed: The migrations fail on the clone; the live database was not touched.
        LockHeld: A deployment, or another hand, holds the lease.
    """
    name = context.environment.name
    release = context.release(version)
    host = database.database_host(context.environment, context.declared)
    states = survey.host_states(context.run().fleet, context.environment.lease_hosts)
    live = agreement.settled(states.values(), name)
    if live is None or host is None:
        lacks = "nothing is live yet" if host else f"{context.app} has no database"
        raise NothingToRehearseOn(
            f"there is nothing to rehearse on in {name}: {lacks}",
            hint=f"changeover plan {version} --env {name} shows what a first deployment does",
        )
    due, fence = _due(context, version, tuple(phases))
    if release.migrator is not None:
        return _own(context, release, host, live, sql_pending=bool(due), fence=fence)
    if not due:
        return f"nothing to rehearse: {version} has no pending migration"
    hint = f"changeover db rehearse {version} --env {name} begins anew"
    with by_hand.leased(context, "db rehearse", version, hint=hint, beyond=fence) as run:
        run.release = release
        trial = steps.Rehearse(
            id="rehearse", hosts=(host.name,), phases=tuple(phases), migrations=due
        )
        beforehand.prove(run, (by_hand.backup(host, live), trial))
    return f"{version} is rehearsed; the live database was not touched"


def _own(
    context: Context, release: Release, host: Host, live: str, *, sql_pending: bool, fence: int
) -> str:
    """Place a release, inert, and try its own migrator from there."""
    version, name = release.version, context.environment.name
    built = context.run()
    built.release = release
    forecast.build(built, context.releases)
    with database.owner_database(context.environment, context.declared) as place:
        found = own.change(built, context.releases, place, alone=True, sql_pending=sql_pending)
    if found is None:
        return f"nothing to rehearse: the migrator of {version} has run"
    target = forecast.target(built)
    hint = f"changeover db rehearse {version} --env {name} begins anew"
    with by_hand.leased(context, "db rehearse", version, hint=hint, beyond=fence) as run:
        run.release, run.bundle, run.values = release, built.bundle, built.values
        apps = tuple(each.name for each in run.app_hosts)
        for step in (
            by_hand.backup(host, live),
            target.placing(apps),
            steps.RehearseOwn(
                id="rehearse", hosts=(found.host,), colour=target.colour, version=version
            ),
        ):
            run.step(step, partial(apply, run, step))
    return f"{version} is rehearsed; the live database was not touched"


def _due(context: Context, version: str, phases: tuple[Phase, ...]) -> tuple[tuple[str, ...], int]:
    """Return the ids of the pending migrations, and the highest fencing number that the ledger knows."""
    folders = database.migration_folders(context.releases, version)
    with database.owner_database(context.environment, context.declared) as place:
        pending = [each.id for folder in folders for each in migrate.pending(place, folder, phases)]
        return tuple(pending), migrate.fence(place)
