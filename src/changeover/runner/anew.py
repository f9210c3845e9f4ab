"""Go back to a version that is on no host any more: build it, place it, prove it beside the live one.

Its code is no problem, its schema may be: contract migrations of later versions took away what it
reads. The database's ledger tells whether any of them ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.colour import version_of
from changeover.errors import InvalidInput
from changeover.executors import migrate
from changeover.plan import START_SECONDS
from changeover.release import lineage
from changeover.release.reading import unknown_version
from changeover.runner import database, forecast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.release import Release
    from changeover.runner.run import Run

CONTRACT = "/contract/"


class SchemaGone(InvalidInput):
    """Contract migrations took away what the version needs of the database."""


def ways(
    run: Run, releases: Mapping[str, Release], version: str, live: str | None
) -> tuple[steps.AnyStep, ...]:
    """Build a version's bundle and return the steps that bring it up beside the live colour.

    Args:
        run: The run; its release, bundle and values are set here.
        releases: Every release of the app.
        version: The version to bring back.
        live: The colour that is live.

    Raises:
        SchemaGone: The ledger does not allow it.
        InvalidInput: The bundle cannot be built, or an environment value is missing.
    """
    if live is not None:
        refuse_contracted(run, releases, version, version_of(live))
    run.release = releases[version]
    forecast.build(run, releases)
    target = forecast.target(run)
    hosts = tuple(host.name for host in run.app_hosts)
    return (
        steps.Place(
            id="place",
            hosts=hosts,
            colour=target.colour,
            digest=target.digest,
            bundle=target.bundle,
        ),
        steps.Start(id="start", hosts=hosts, colour=target.colour, seconds=START_SECONDS),
        steps.PreviewSmoke(id="preview", hosts=hosts, colour=target.colour, version=version),
    )


def refuse_contracted(run: Run, releases: Mapping[str, Release], version: str, live: str) -> None:
    """Refuse a version whose schema the ledger says is gone.

    Args:
        run: The run.
        releases: Every release of the app.
        version: The version to go back to.
        live: The version that is live.

    Raises:
        SchemaGone: A contract migration of a version after it ran.
        VersionUnknown: One of both is not in this checkout.
        ChangeoverError: The database does not answer.
    """
    if database.database_host(run.environment, run.app) is None:
        return
    for each in (version, live):
        if each not in releases:
            raise unknown_version(run.app.app, each, releases)
    # Where the live version did not grow from this one, each of its ancestors counts as later.
    later = [each for each in lineage(releases, live) if each not in lineage(releases, version)]
    folders = [each for each in database.migration_folders(releases, live) if each.release in later]
    if not folders:
        return
    with database.owner_database(run.environment, run.app) as place:
        ran = [
            found.id
            for folder in folders
            for found in migrate.status(place, folder)
            if CONTRACT in found.id and found.state not in {"pending", "reverted"}
        ]
    if ran:
        name = run.environment.name
        raise SchemaGone(
            f"{version} cannot run on this database any more: {', '.join(ran)} ran",
            hint=f"only a backup from before has its schema: changeover backup list --env {name}, "
            f"changeover backup restore BACKUP --env {name}, then this again",
        )
