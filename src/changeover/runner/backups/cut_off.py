"""A restore that was cut off, as the database's host remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from changeover.executors.backup import Listing

Event = dict[str, Any]


def restore(known: Listing, name: str) -> Event | None:
    """Return what finishes a restore that was begun and not finished; ``None`` where there is none.

    Args:
        known: What the database's host lists.
        name: The environment's name.
    """
    found = known.unfinished
    if found is None:
        return None
    command = f"changeover backup restore {found.backup} --env {name}"
    return {
        "type": "restore-unfinished",
        "backup": found.backup,
        "live": found.live,
        "command": command,
        "says": found.words(name),
    }
