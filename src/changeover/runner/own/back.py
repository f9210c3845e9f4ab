"""What going back means where an app's own migrator has run: it is told, and never taken back unasked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from changeover import verdict
from changeover.colour import version_of
from changeover.errors import ChangeoverError
from changeover.executors import migrate
from changeover.executors import migrator as commands
from changeover.release import lineage, load_releases
from changeover.runner import database
from changeover.runner.own import migrator as own

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from changeover.executors.migrate import OwnRow
    from changeover.inventory import Environment, Host
    from changeover.release import App, Release
    from changeover.runner.run import Run
    from changeover.verdict import OwnFact, Verdict


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of ending a migrator on some hosts.

    Args:
        was: What was ended, by host.
        unseen: Why a host did not say, by host.
    """

    was: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, ChangeoverError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """The way back of the database over own migrators that ran, and the backup from before them."""

    verdict: Verdict
    backup: str | None


RAN = {"running", "applied", "failed", "undoing"}


def stands(run: Run, version: str | None, left: str) -> str:
    """Say what the own migrators of versions that are left did to the database; empty where none did.

    Args:
        run: The run that goes back.
        version: The version that it goes to.
        left: The version that is left.
    """
    if not _migrates_itself(run.app):
        return ""
    try:
        releases = load_releases(run.root, run.app.app)
        rows = _rows(run.environment, run.app, releases, version, left)
    except ChangeoverError as error:
        return f"; whether an own migrator of {left} ran was not seen: {error.message}"
    return "".join(f"; {_words(run, row)}" for row in rows)


def judged(
    environment: Environment, app: App, releases: Mapping[str, Release], version: str, left: str
) -> Judged | None:
    """Judge the way back of the database from a version to an older one; ``None`` where no own migrator ran.

    Takes what ``judgement.in_the_way`` takes, and raises what it raises.
    """
    rows = _changed(environment, app, releases, version, left)
    if not rows:
        return None
    return Judged(verdict.judge_own(_facts(rows, releases)), rows[0].backup or None)


def stood(
    environment: Environment, app: App, releases: Mapping[str, Release], version: str, left: str
) -> tuple[OwnFact, ...]:
    """Return what a verdict has to know of own migrators that ran and changed something, in that order.

    Takes what ``judgement.in_the_way`` takes, and raises what it raises.
    """
    return _facts(_changed(environment, app, releases, version, left), releases)


def _changed(
    environment: Environment, app: App, releases: Mapping[str, Release], version: str, left: str
) -> list[OwnRow]:
    rows = _rows(environment, app, releases, version, left)
    return sorted((row for row in rows if not _idle(row)), key=lambda row: row.started_at)


def _facts(rows: Sequence[OwnRow], releases: Mapping[str, Release]) -> tuple[OwnFact, ...]:
    return tuple(
        verdict.OwnFact(
            id=own.identity(row.release),
            undo=row.undo_proved or _declares_undo(releases[row.release]),
            proved=row.undo_proved and row.state == "applied",
        )
        for row in rows
    )


def ahead(stands: Sequence[OwnFact], pending: OwnFact) -> tuple[OwnFact, ...]:
    """Return what a way back meets once a migrator has run on top of these.

    Where it ran before, its undo was tried on a clone of what that left: it leads back there alone.
    """
    again = any(each.id == pending.id for each in stands)
    then = replace(pending, proved=False) if again and pending.proved else pending
    return (*(each for each in stands if each.id != pending.id), then)


def after_run(run: Run, before: str | None, planned: Verdict) -> Verdict:
    """Return the way back to the version before, once the app's own migrator was rehearsed and ran."""
    release = run.release
    if run.own is None or before is None or release is None or release.migrator is None:
        return planned
    try:
        releases = load_releases(run.root, run.app.app)
        stands = stood(run.environment, run.app, releases, before, release.version)
    except ChangeoverError:
        return planned
    this = verdict.OwnFact(
        id=own.identity(release.version),
        undo=_declares_undo(release),
        proved=run.own.undo_proved,
    )
    return verdict.judge_own(stands or [this])


def _declares_undo(release: Release) -> bool:
    return release.migrator is not None and release.migrator.undo is not None


def _migrates_itself(app: App) -> bool:
    return app.database is not None and app.database.migrates_itself


def _idle(row: OwnRow) -> bool:
    return row.state == "applied" and row.schema_before == row.schema_after


def _rows(
    environment: Environment,
    app: App,
    releases: Mapping[str, Release],
    version: str | None,
    left: str,
) -> list[OwnRow]:
    if not _migrates_itself(app) or database.database_host(environment, app) is None:
        return []
    if left not in releases:
        return []
    kept = set(lineage(releases, version)) if version and version in releases else set()
    names = [each for each in lineage(releases, left) if each not in kept]
    if not any(releases[name].migrator for name in names):
        return []
    with database.owner_database(environment, app) as place:
        known = migrate.own_rows(place)
    return [known[name] for name in names if name in known and known[name].state in RAN]


def _words(run: Run, row: OwnRow) -> str:
    name, what = run.environment.name, own.identity(row.release)
    did = {"running": "was begun", "failed": "failed", "undoing": "is half undone"}.get(
        row.state, "ran"
    )
    if _idle(row):
        return f"{what} {'had nothing to do' if row.how == 'found' else 'changed no definition'}"
    stays = f"{what} {did}, and the database stays as it left it"
    if row.undo_proved and row.state == "applied":
        stays += f"; its undo was proved: changeover db revert {row.release} --env {name}"
    if not row.backup:
        return stays
    return (
        f"{stays}; the backup from before it: changeover backup price {row.backup} --env {name},"
        f" changeover rollback --restore-db {row.backup} --env {name}"
    )


def after(run: Run, version: str, live: str | None, lost: Container[str]) -> str:
    """Say it at the end of a rollback to a version, where the database's host is not lost."""
    host = database.database_host(run.environment, run.app)
    if live is None or host is None or host.name in lost:
        return ""
    return stands(run, version, version_of(live))


def end(run: Run, hosts: Sequence[Host]) -> Ended:
    """End what still runs of the app's own migrator, and tell it; hosts that do not do so are named."""
    if not _migrates_itself(run.app):
        return Ended()
    answers = commands.end(run.fleet, hosts)
    results = {host: each["migrator_end"].result for host, each in answers.replies.items()}
    was = {host: str(each["was"]) for host, each in results.items() if each["ended"]}
    for host, what in was.items():
        run.note({"type": "note", "says": f"{host}: ended {what}"})
    for host, error in answers.errors.items():
        says = f"warning: {host}: whether a migrator runs on was not seen: {error.message}"
        run.note({"type": "warning", "says": says})
    return Ended(was, answers.errors)
