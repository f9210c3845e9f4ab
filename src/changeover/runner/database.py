"""Reach the app's database as its owner, through an SSH tunnel, and know its migrations."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from changeover.database import Database
from changeover.migrations import folder
from changeover.release import lineage
from changeover.remote.tunnel import open_tunnel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from changeover.inventory import Environment, Host
    from changeover.migrations.records import MigrationFolder
    from changeover.release import App, Release
    from changeover.runner.run import Run

POSTGRESQL_PORT = 5432


def database_host(environment: Environment, app: App) -> Host | None:
    """Return the host of the app's database; ``None`` for an app without one."""
    hosts = environment.hosts_in("db")
    return hosts[0] if app.database is not None and hosts else None


@contextlib.contextmanager
def owner_database(environment: Environment, app: App) -> Iterator[Database]:
    """Give the app's database as its owner role sees it, for as long as the tunnel is open."""
    host = database_host(environment, app)
    if host is None or app.database is None:
        raise LookupError(f"{app.app} has no database in {environment.name}")
    with open_tunnel(environment, host, POSTGRESQL_PORT) as (address, port):
        yield Database(
            host=address,
            port=port,
            name=app.database.name,
            user=app.database.owner,
            password=environment.database_password(app.app, "owner"),
            label=host.name,
            environment=environment.name,
        )


@contextlib.contextmanager
def app_beside(environment: Environment, app: App, name: str) -> Iterator[Database]:
    """Give a database beside the app's own as the app's role sees it, for as long as the tunnel is open.

    The server lets that role into no live database from here.
    """
    host = database_host(environment, app)
    if host is None or app.database is None:
        raise LookupError(f"{app.app} has no database in {environment.name}")
    with open_tunnel(environment, host, POSTGRESQL_PORT) as (address, port):
        yield Database(
            host=address,
            port=port,
            name=name,
            user=app.database.role,
            password=environment.database_password(app.app, "app"),
            label=host.name,
            environment=environment.name,
        )


def app_database(environment: Environment, app: App) -> Database | None:
    """Return the app's database as the app sees it, in the private network."""
    return _private(environment, app, "app")


def migrator_database(environment: Environment, app: App) -> Database | None:
    """Return the app's database as its own migrator sees it: as the owner, in the private network."""
    return _private(environment, app, "owner")


def _private(environment: Environment, app: App, who: Literal["owner", "app"]) -> Database | None:
    host = database_host(environment, app)
    if host is None or app.database is None:
        return None
    return Database(
        host=environment.database_address,
        port=POSTGRESQL_PORT,
        name=app.database.name,
        user=app.database.role if who == "app" else app.database.owner,
        password=environment.database_password(app.app, who),
        label=host.name,
        environment=environment.name,
    )


def fence(run: Run) -> int | None:
    """Return the run's fencing number on the database's host, which the ledger holds runners to."""
    host = database_host(run.environment, run.app)
    return run.fleet.fences.get(host.name) if host else None


def exceed(run: Run, number: int) -> None:
    """Have the run's fencing number on the database's host be greater than the ledger's."""
    host = database_host(run.environment, run.app)
    if host is not None:
        run.fleet.beyond[host.name] = number


def migration_folders(releases: Mapping[str, Release], version: str) -> tuple[MigrationFolder, ...]:
    """Return the migrations of a version and of all versions it grew from, oldest first."""
    return folders_of(releases, lineage(releases, version))


def folders_of(
    releases: Mapping[str, Release], versions: Iterable[str]
) -> tuple[MigrationFolder, ...]:
    """Return the migrations of exactly these versions, in their order."""
    return tuple(
        folder.load(releases[name].migrations, name)
        for name in versions
        if releases[name].migrations.is_dir()
    )
