"""A lock between the agent's own processes on this host, waited for with a deadline."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from changeover.agent import durable
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLL_SECONDS = 0.02


@contextlib.contextmanager
def held(path: Path, seconds: float, saying: str = "") -> Iterator[None]:
    """Hold the file's lock; the system lets it go with the process, however that ends.

    Args:
        path: The lock file; it keeps what its holder says of itself.
        seconds: How long to wait for another holder.
        saying: Who holds it and why, for the one who waits in vain.

    Raises:
        ActionError: ``agent-busy``; another agent still works on this app.
    """
    durable.ensure_directory(path.parent, 0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait(descriptor, seconds)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, saying.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                continue
            holder = os.pread(descriptor, 500, 0).decode("utf-8", "replace")
            raise ActionError(
                "agent-busy",
                f"another agent has been at work on this host for more than {seconds:g} s",
                cause=holder or None,
            ) from None
        return
