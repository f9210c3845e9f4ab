"""Let one command at a time change a lab."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import LockHeld

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCKS = Path("/run/lock")
POLL_SECONDS = 0.1


class LabBusy(LockHeld):
    """Another command is changing the lab."""


@contextlib.contextmanager
def exclusive(name: str, *, seconds: float) -> Iterator[None]:
    """Hold the lock ``name`` on this machine; its file is gone when nobody holds or awaits it.

    Raises:
        LabBusy: It was not free in time.
    """
    LOCKS.mkdir(parents=True, exist_ok=True)
    file = LOCKS / f"changeover-{name}.lock"
    deadline = time.monotonic() + seconds
    while (descriptor := _try(file)) is None:
        if time.monotonic() > deadline:
            message = (
                f"another command has been changing `{name}` for more than {seconds:.0f} seconds"
            )
            raise LabBusy(message, hint=f"wait for it; who holds it: fuser -v {file}")
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def _try(file: Path) -> int | None:
    """Return the descriptor of the lock if it is ours now; whoever unlinks a file holds its lock."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == file.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
