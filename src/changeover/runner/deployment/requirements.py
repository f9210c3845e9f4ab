"""Preflight of a release: the hosts through pyinfra, the database through its tunnel."""

from __future__ import annotations

import dataclasses
import platform
from typing import TYPE_CHECKING

from changeover.executors import migrate, preflight
from changeover.runner import database
from changeover.runner.backups import archive
from changeover.runner.deployment import preconditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from changeover.executors.preflight import PreflightOutcome
    from changeover.inventory import Environment
    from changeover.release import App, Release
    from changeover.runner.deployment.preconditions import Asked


def outcome(
    environment: Environment,
    app: App,
    release: Release,
    report: Callable[[dict[str, Any]], None],
    asked: Asked,
) -> PreflightOutcome:
    """Hold every host and the database against a release's requirements, and the live data.

    Args:
        environment: Where the release is to go.
        app: Its app.
        release: The release.
        report: Called with one event a finding.
        asked: What is asked of the live data.
    """

    def probe() -> preflight.Server:
        with database.owner_database(environment, app) as place:
            found = migrate.probe(place)
            return preflight.Server(
                version=found.version,
                size_bytes=found.size_bytes,
                log_bytes=found.log_bytes,
                migrates=migrates,
                unarchived=found.unarchived,
            )

    migrates = release.migrations.is_dir() or release.migrator is not None
    known = database.database_host(environment, app) is not None
    enters = any(each.source == "database" for each in release.environment.variables.values())
    found = preflight.apply(
        environment,
        app.app,
        release.requires,
        probe if known else None,
        report,
        enters=preflight.Entries(
            role=database.app_database(environment, app) if enters else None,
            owner=database.migrator_database(environment, app) if release.migrator else None,
        ),
        python=_interpreter(app, release),
    )
    failed = next((each.error for each in found.red if each.id == "database"), None)
    late = (
        *_archive_findings(environment, app),
        *preconditions.findings(environment, app, release, asked, failed),
    )
    for finding in late:
        report(finding.as_event())
    return dataclasses.replace(found, findings=(*found.findings, *late))


def _archive_findings(environment: Environment, app: App) -> Iterator[preflight.Finding]:
    """Yield what keeps moments from being recovered, but for what the database's server has told."""
    for warned in archive.warned(environment, app.app):
        if warned.about != "log-archive":
            yield preflight.Finding(
                id=warned.about,
                status="warn",
                host=environment.repository_host.name if environment.repository_host else None,
                message=warned.says,
                next=warned.command.replace("{env}", environment.name),
            )


def _interpreter(app: App, release: Release) -> preflight.Interpreter | None:
    """Return what a release in Python runs on."""
    if app.runtime.kind != "python" or app.runtime.version is None:
        return None
    machine = platform.machine() if release.build.kind == "python" else None
    return preflight.Interpreter(version=app.runtime.version, machine=machine)
