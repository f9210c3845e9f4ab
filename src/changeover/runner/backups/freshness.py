"""How old the newest proved backup is, told where that is more than a day, or there is none."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from changeover import duration
from changeover.executors import backup as backups

if TYPE_CHECKING:
    from changeover.executors.backup import Listing

Event = dict[str, Any]

OLD_SECONDS = 86_400


def warning(known: Listing, app: str, name: str, now: dt.datetime) -> Event | None:
    """Warn where what is written now would be lost with the database; ``None`` where all is well.

    Args:
        known: What the database's host lists.
        app: The app's name.
        name: The environment's name.
        now: This moment.
    """
    create = f"changeover backup create --env {name}"
    newest = backups.newest_taken(known.backups)
    if newest is None:
        return _event(None, None, f"no proved backup was taken of {app}: {create}")
    age = (now - dt.datetime.fromisoformat(newest.finished)).total_seconds()
    if age <= OLD_SECONDS:
        return None
    said = f"the newest proved backup, {newest.backup}, is {duration.words(age)} old: {create}"
    return _event(newest.backup, age, said)


def unseen(why: str) -> Event:
    """Warn that the database's host did not tell."""
    return _event(None, None, f"how old the newest proved backup is was not seen: {why}")


def _event(backup: str | None, seconds: float | None, said: str) -> Event:
    return {
        "type": "backup-age",
        "backup": backup,
        "seconds": seconds,
        "status": "warn",
        "says": f"warning: {said}",
    }
