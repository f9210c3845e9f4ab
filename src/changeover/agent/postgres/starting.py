"""Whether a server that takes no connection will take one in a moment: its host has just booted."""

from __future__ import annotations

from changeover.agent.failure import ActionError
from changeover.agent.system.program import Programs

# A server that recovers for longer is waited for by whoever asks again.
STARTING_SECONDS = 60.0
STARTS = (
    "the database system is starting up",
    "the database system is not yet accepting connections",
)
NOT_THERE = ("No such file or directory", "Connection refused")
BOOTING = ("initializing", "starting")


def starts(said: str) -> bool:
    """Tell whether a server is being started that refused a connection with these words."""
    if any(words in said for words in STARTS):
        return True
    return any(words in said for words in NOT_THERE) and _booting()


def _booting() -> bool:
    try:
        return Programs().run("systemctl", "is-system-running").output.strip() in BOOTING
    except ActionError:
        return False
