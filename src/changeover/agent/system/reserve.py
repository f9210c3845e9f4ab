"""Room on the disk for a way back: a file that holds nothing, and is given up once the disk is full.

A version that fills the disk is one that users are sent back from, and that has to be written down.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, TypeVar

from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
PLACE = "var/lib/changeover/.reserve"
# Journal, lease and records of a few hundred ways back.
BYTES = 4 << 20
# With less than this it is not held: what was given up is not taken again while it is needed.
FREE_BYTES = 16 * BYTES
FULL = {errno.ENOSPC, errno.EDQUOT}


def keep(root: Path) -> None:
    """Hold the room, where it is not held and there is any; nobody is kept waiting for it."""
    path = root / PLACE
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size == BYTES:
            return
        room = os.statvfs(path.parent)
        if room.f_bavail * room.f_frsize < FREE_BYTES:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE)
        try:
            os.posix_fallocate(descriptor, 0, BYTES)
        finally:
            os.close(descriptor)


def with_room(root: Path, act: Callable[[], T]) -> T:
    """Do what may be done twice; where the disk is full, once more in the room that was held.

    Raises:
        ActionError: It failed for another reason, or there is no such room.
    """
    try:
        return act()
    except (ActionError, OSError) as error:
        if not (_is_full(error) and _give_up(root)):
            raise
    return act()


def _is_full(error: BaseException) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in FULL


def _give_up(root: Path) -> bool:
    try:
        (root / PLACE).unlink()
    except OSError:
        return False
    return True
