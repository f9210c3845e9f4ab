"""The app's own migrator: what a plan has to know of it, and how one command of it is run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.errors import Failed, InvalidInput
from changeover.executors import migrate
from changeover.executors import migrator as commands
from changeover.migrations import checks_file
from changeover.plan.situation import OwnChange
from changeover.release import lineage
from changeover.release.owner_values import owner_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.database import Database
    from changeover.executors.migrate import OwnRow
    from changeover.executors.migrate.rehearsals import Rehearsals
    from changeover.executors.migrator import Purpose, What
    from changeover.inventory import Host
    from changeover.migrations.checks import Checks
    from changeover.outcome import Ran
    from changeover.release import Migrator, Release
    from changeover.runner.run import Run


class OwnMigratorSkipped(InvalidInput):
    """A release between would have migrated by its own command, and its code is not on the hosts."""


class OwnMigratorWaits(InvalidInput):
    """SQL migrations of earlier releases are pending beside the release's own command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal of an app's own migrator came to.

    Args:
        schema_before: All definitions before it.
        changes: The lines of them that it changed.
        undo_proved: Whether its undo brought back every definition and row, and it ran again then.
        seconds: How long the command took.
    """

    schema_before: str
    changes: tuple[str, ...]
    undo_proved: bool
    seconds: float


def identity(version: str) -> str:
    """Return what the ledger and the plan call a release's own migrator."""
    return f"{version}/migrator"


def declared(run: Run) -> tuple[Release, Migrator]:
    """Return the run's release and its migrator.

    Raises:
        Failed: There is none, which a plan does not ask for.
    """
    release = run.release
    if release is None or release.migrator is None:
        raise Failed("the release has no migrator", hint="changeover plan VERSION")
    return release, release.migrator


def concerned(releases: Mapping[str, Release], version: str) -> bool:
    """Tell whether a release, or one that it grew from, migrates by a command of its own."""
    return any(releases[name].migrator for name in lineage(releases, version))


def change(
    run: Run,
    releases: Mapping[str, Release],
    place: Database,
    *,
    alone: bool,
    sql_pending: bool,
) -> OwnChange | None:
    """Return the release's own migrator where it is to run.

    Args:
        run: The run; its release and bundle are set.
        releases: Every release of the app.
        place: The database as its owner.
        alone: Whether no stage is to run before, which would see to the releases between.
        sql_pending: Whether SQL of the releases on the way is pending.

    Raises:
        OwnMigratorSkipped: A release between has one that did not run.
        OwnMigratorWaits: SQL of releases between is pending beside it.
    """
    release = run.release
    if release is None or not concerned(releases, release.version):
        return None
    known = migrate.own_rows(place)
    name = run.environment.name
    way = lineage(releases, release.version)
    stand = {each for each in way if each in known and known[each].state == "applied"}
    for index, each in enumerate(way[:-1] if alone else ()):
        # A later one knows what those before it do.
        if releases[each].migrator and not stand & {*way[index:]}:
            raise OwnMigratorSkipped(
                f"{each} migrates by its own command, which has not run on {place.name}",
                hint=f"changeover deploy {each} --env {name} runs it; then this again",
            )
    migrator = release.migrator
    if migrator is None or not _due(run, known):
        return None
    if sql_pending:
        raise OwnMigratorWaits(
            f"{release.version} migrates by its own command, and SQL of releases before it is pending",
            hint=f"deploy them one after another, without --direct: changeover plan {release.version}"
            f" --env {name}",
        )
    return OwnChange(
        id=identity(release.version),
        host=host(run).name,
        command=migrator.command,
        status=migrator.status or (),
        undo=migrator.undo or (),
        deadline_seconds=migrator.deadline_seconds,
    )


def _due(run: Run, known: Mapping[str, OwnRow]) -> bool:
    row = known.get(run.release.version) if run.release else None
    digest = run.bundle.digest if run.bundle else ""
    return row is None or row.state != "applied" or row.bundle != digest


def undo_proved(run: Run, known: Rehearsals) -> bool | None:
    """Return whether a rehearsal proved the undo of exactly this bundle; ``None`` where none tried it."""
    if run.release is None or run.bundle is None:
        return None
    found = known.undo(identity(run.release.version), run.bundle.digest)
    return found.lossless if found else None


def host(run: Run) -> Host:
    """Return the app host that runs it: always the same one, so that a run finds what another began."""
    return run.app_hosts[0]


def checks_of(release: Release) -> Checks | None:
    """Return what must hold of the data afterwards.

    Raises:
        DeclarationInvalid: The file has mistakes.
    """
    path = release.migrator_checks
    return checks_file.read(path.read_text(encoding="utf-8"), path) if path.exists() else None


def said(words: tuple[str, ...]) -> str:
    """Return a command as it would be typed."""
    return shlex.join(words)


def command(run: Run, colour: str, database: str, what: What, purpose: Purpose) -> Ran:
    """Run one command at a database, keep what it printed beside the journal, and say how it ended."""
    release, migrator = declared(run)
    use = run.app.database
    if use is None:
        raise Failed(f"{run.app.app} has no database", hint="changeover plan VERSION")
    chosen = host(run)
    values = owner_values(
        use, release, run.environment, run.app.app, run.values[chosen.name], database
    )
    ran = commands.run(run.fleet, chosen, colour, values, what=what, purpose=purpose)
    kept = run.journal.beside(f"{purpose}-{what}.log", ran.output)
    words = {"command": migrator.command, "status": migrator.status, "undo": migrator.undo}[what]
    says = f"{said(words or ())} {ran.ending}{' (begun by an earlier run)' if ran.adopted else ''}"
    run.note(
        {
            "type": "migrator-ended",
            "what": what,
            "purpose": purpose,
            "host": chosen.name,
            "exit": ran.exit,
            "result": ran.result,
            "seconds": ran.seconds,
            "adopted": ran.adopted,
            "kept": str(kept),
            "says": says,
        }
    )
    return ran
