"""How old the newest proved backup is, told where that is more than a day, or there is none."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from changeover import duration
from changeover.executors import backup as backups
from changeover.runner import database, endings

if TYPE_CHECKING:
    from changeover.runner.run import Run

Event = dict[str, Any]

OLD_SECONDS = 86_400


def warning(run: Run, now: dt.datetime) -> Event | None:
    """Warn where what is written now would be lost with the database; ``None`` where all is well.

    Where the log is archived any moment can be gone back to, and nobody is asked.

    Args:
        run: The run; its fleet asks the database's host.
        now: This moment.
    """
    environment = run.environment
    if database.database_host(environment, run.app) is None or environment.repository_host:
        return None
    create = f"changeover backup create --env {environment.name}"
    try:
        newest = backups.newest_taken(backups.list_(backups.vault_of(run.fleet)))
    except Exception as error:  # noqa: BLE001 - whoever looks is told, and nothing else depends on it
        why = endings.known(error).message
        return _event(None, None, f"how old the newest proved backup is was not seen: {why}")
    if newest is None:
        return _event(None, None, f"no proved backup was taken of {run.app.app}: {create}")
    age = (now - dt.datetime.fromisoformat(newest.finished)).total_seconds()
    if age <= OLD_SECONDS:
        return None
    said = f"the newest proved backup, {newest.backup}, is {duration.words(age)} old: {create}"
    return _event(newest.backup, age, said)


def _event(backup: str | None, seconds: float | None, said: str) -> Event:
    return {
        "type": "backup-age",
        "backup": backup,
        "seconds": seconds,
        "status": "warn",
        "says": f"warning: {said}",
    }
