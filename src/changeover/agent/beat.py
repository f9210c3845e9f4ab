"""A sign of life: a line every few seconds, from the first look at a request to its last line.

It comes from a thread of its own, so an action that waits is heard of, and a process that is stopped,
or a host that is gone, is not.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.agent.protocol import Replies

# Several fit into the 15 s after which a controller tells that it hears nothing.
RHYTHM_SECONDS = 3.0


@contextlib.contextmanager
def beating(replies: Replies, seconds: float = RHYTHM_SECONDS) -> Iterator[None]:
    """Send a beat every few seconds while this is held.

    Args:
        replies: Where the lines go.
        seconds: The rhythm.
    """
    # It may be at a line that nobody takes, which ends after ``protocol.TAKEN_SECONDS``.
    with repeating(lambda: replies.send("beat"), seconds, "beat"):
        yield


@contextlib.contextmanager
def repeating(act: Callable[[], object], seconds: float, name: str) -> Iterator[None]:
    """Do something every few seconds, in a thread of its own, while this is held.

    Args:
        act: What is done.
        seconds: The rhythm.
        name: The thread's name.
    """
    over = threading.Event()

    def acts() -> None:
        while not over.wait(seconds):
            act()

    thread = threading.Thread(target=acts, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(seconds)
