"""What going back means where an app's own migrator has run: it is told, and never taken back unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.errors import ChangeoverError
from changeover.executors import migrate
from changeover.executors import migrator as commands
from changeover.release import lineage, load_releases
from changeover.runner import database, own

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from changeover.executors.migrate import OwnRow
    from changeover.inventory import Host
    from changeover.runner.run import Run

RAN = {"running", "applied", "failed"}


def stands(run: Run, version: str | None, left: str) -> str:
    """Say what the own migrators of versions that are left did to the database; empty where none did.

    Args:
        run: The run that goes back.
        version: The version that it goes to.
        left: The version that is left.
    """
    if not _migrates_itself(run):
        return ""
    try:
        rows = _rows(run, version, left)
    except ChangeoverError as error:
        return f"; whether an own migrator of {left} ran was not seen: {error.message}"
    return "".join(f"; {_words(run, row)}" for row in rows)


def _migrates_itself(run: Run) -> bool:
    return run.app.database is not None and run.app.database.migrates_itself


def _rows(run: Run, version: str | None, left: str) -> list[OwnRow]:
    releases = load_releases(run.root, run.app.app)
    if database.database_host(run.environment, run.app) is None or left not in releases:
        return []
    kept = set(lineage(releases, version)) if version in releases else set()
    names = [each for each in lineage(releases, left) if each not in kept]
    if not any(releases[name].migrator for name in names):
        return []
    with database.owner_database(run.environment, run.app) as place:
        known = migrate.own_rows(place)
    return [known[name] for name in names if name in known and known[name].state in RAN]


def _words(run: Run, row: OwnRow) -> str:
    name, what = run.environment.name, own.identity(row.release)
    did = {"running": "was begun", "failed": "failed"}.get(row.state, "ran")
    if row.state == "applied" and row.schema_before == row.schema_after:
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


def end(run: Run, hosts: Sequence[Host]) -> None:
    """End what still runs of the app's own migrator, and tell it; hosts that do not do so are named."""
    if not _migrates_itself(run):
        return
    answers = commands.end(run.fleet, hosts)
    for host, replies in answers.replies.items():
        result = replies["migrator_end"].result
        if result["ended"]:
            run.note({"type": "note", "says": f"{host}: ended {result['was']}"})
    for host, error in answers.errors.items():
        says = f"warning: {host}: whether a migrator runs on was not seen: {error.message}"
        run.note({"type": "warning", "says": says})
