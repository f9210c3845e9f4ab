"""A restore that was cut off, as the database's host remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover.errors import ChangeoverError
from changeover.executors import backup as backups
from changeover.runner import database

if TYPE_CHECKING:
    from changeover.runner.run import Run

Event = dict[str, Any]


def restore(run: Run) -> Event | None:
    """Return what finishes a restore that was begun and not finished; ``None`` where there is none.

    Args:
        run: The run; its fleet asks the database's host.
    """
    if database.database_host(run.environment, run.app) is None:
        return None
    try:
        found = backups.aside(backups.vault_of(run.fleet)).unfinished
    except ChangeoverError:
        return None  # what else is asked of that host tells why it does not answer
    if found is None:
        return None
    name = run.environment.name
    command = f"changeover backup restore {found.backup} --env {name}"
    return {
        "type": "restore-unfinished",
        "backup": found.backup,
        "live": found.live,
        "command": command,
        "says": found.words(name),
    }
