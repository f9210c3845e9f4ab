"""A sign of life for systemd, from units that nobody asks for: one that stops giving it is begun anew.

What a controller asks for is killed by whoever waits for it. The dead-man and the unit that ends a
share act alone, so systemd itself holds them to it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from changeover.agent import beat, running

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = "NOTIFY_SOCKET"
READY, LIVES = b"READY=1", b"WATCHDOG=1"
STOP_SECONDS = 10
# One that is stopped takes no other signal, and what it did is repeated from any point.
PROPERTIES = (
    "Type=notify",
    f"TimeoutStartSec={running.HUNG_SECONDS:g}",
    f"WatchdogSec={running.HUNG_SECONDS:g}",
    "WatchdogSignal=SIGKILL",
    f"TimeoutStopSec={STOP_SECONDS}",
    "Restart=on-failure",
    "StartLimitIntervalSec=0",
)


def tell(word: bytes = LIVES) -> None:
    """Say one word to systemd, where it started this process and listens."""
    address = os.environ.get(SOCKET, "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.settimeout(0)
        told.sendto(word, address.replace("@", "\0", 1) if address[0] == "@" else address)


@contextlib.contextmanager
def telling(seconds: float = beat.RHYTHM_SECONDS) -> Iterator[None]:
    """Give the sign every few seconds while this is held.

    Args:
        seconds: The rhythm.
    """
    tell(READY)
    with beat.repeating(tell, seconds, "alive"):
        yield
