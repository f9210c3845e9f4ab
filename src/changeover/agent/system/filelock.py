"""A lock between the agent's own processes on this host, waited for with a deadline."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import IO, TYPE_CHECKING

from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL_SECONDS = 0.02
SAY_SECONDS = 5.0
LOOK_SECONDS = 1.0


def _always() -> bool:
    return True


def _silent(_: str) -> None:
    return


@contextlib.contextmanager
def held(
    path: Path,
    seconds: float,
    saying: str = "",
    progress: Callable[[str], None] = _silent,
    *,
    ready: Callable[[], bool] = _always,
    stuck: Callable[[], bool] = _always,
) -> Iterator[None]:
    """Hold the file's lock; the system lets it go with the process, however that ends.

    Args:
        path: The lock file; it keeps what its holder says of itself.
        seconds: How long to wait for another holder, which is alive as long as it holds it.
        saying: Who holds it and why, for those who wait.
        progress: Told every few seconds whom this waits for.
        ready: Asked before each try; no try is made where it says no.
        stuck: Called every second of waiting: it may end a holder that gives no sign of life.

    Raises:
        ActionError: ``agent-busy``; another agent still works on this app.
    """
    with _opened(path) as descriptor:
        began = time.monotonic()
        said, looked = began, began - LOOK_SECONDS
        while not (ready() and _tried(descriptor, fcntl.LOCK_EX)):
            now = time.monotonic()
            holder = os.pread(descriptor, 500, 0).decode("utf-8", "replace")
            if now - began >= seconds:
                raise ActionError(
                    "agent-busy",
                    f"another agent has been at work on this host for more than {seconds:g} s",
                    cause=holder or None,
                )
            if now - looked >= LOOK_SECONDS:
                looked = now
                stuck()
            if now - said >= SAY_SECONDS:
                said = now
                progress(f"waiting for {holder or 'another agent'}")
            time.sleep(POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, saying.encode(), 0)
        yield


@contextlib.contextmanager
def wish(path: Path) -> Iterator[Callable[[], bool]]:
    """Give what makes a wish known, by holding the file's lock, as soon as nobody else does.

    It is called again and again, and is always true: who looks may hold the lock for a moment, and
    two may wish at once.
    """
    with _opened(path) as descriptor:
        yield lambda: _tried(descriptor, fcntl.LOCK_EX) or True


def is_held(path: Path) -> bool:
    """Tell whether somebody holds the file's lock; to look is no hindrance to others who look."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _tried(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def is_free(stream: IO[bytes]) -> bool:
    """Tell whether nobody holds the lock of a file that is open here, renamed or removed since."""
    return _tried(stream.fileno(), fcntl.LOCK_SH)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    durable.ensure_directory(path.parent, 0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _tried(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
