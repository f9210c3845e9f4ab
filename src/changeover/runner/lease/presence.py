"""Whether a run lives that was begun on this machine: it holds a lock on a file as long as its process does.

A lease tells of a controller that went silent only after a while. Where the controller was a process of
this machine and has ended, however it ended, that is certain at once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover import journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

IDENTITY = re.compile(r"[0-9A-Za-z-]{1,80}")
END = "deployment-end"
OVER = ("done", "rolled-back")
BEGIN, STEP = "deployment-begin", "step-intent"
ASKING = ("preflight", "lock")
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Presence:
    """One run's sign of life; where no file can be made for it, the lease alone tells.

    Args:
        journal: The run's journal, beside which it lies.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_suffix(".alive")
        self._handle: int | None = None
        with contextlib.suppress(OSError):
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._handle, 0)
            os.write(self._handle, _machine().encode())

    def end(self, *, left: bool) -> None:
        """Let it go, and leave what it stood on behind where somebody may have to go on with the run."""
        if self._handle is None:
            return
        if not left:
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._handle)
        self._handle = None


def ended(directory: Path, deployment: object) -> bool:
    """Tell whether a run was begun on this machine and its process is gone; False where nobody knows.

    Args:
        directory: Where this controller keeps the environment's journals.
        deployment: The run's id, as a host says it.
    """
    if not IDENTITY.fullmatch(str(deployment)):
        return False
    try:
        with _opened(directory / f"{deployment}.alive") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # a folder may be shared with other machines, whose locks are not seen everywhere
            return os.read(handle, 200).decode() == _machine()
    except OSError:
        return False


def over_for(directory: Path, deployment: object, *, owing: bool = False) -> float | None:
    """Return how many seconds ago a run of this controller ended that left nothing to go on with.

    ``None`` where its journal is not here or does not say so, as where somebody has gone on with it.

    Args:
        directory: Where this controller keeps the environment's journals.
        deployment: The run's id, as a host says it.
        owing: Whether to return it also where somebody may have to go on with the run.
    """
    if not IDENTITY.fullmatch(str(deployment)):
        return None
    try:
        events = journal.read(directory / f"{deployment}.jsonl")
        last = events[-1]
        ended_at = dt.datetime.fromisoformat(str(last.get("at")))
    except (OSError, IndexError, ValueError):
        return None
    if last.get("type") != END or not (owing or last.get("outcome") in OVER or _idle(events)):
        return None
    return (dt.datetime.now(dt.UTC) - ended_at).total_seconds()


def _idle(events: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a run was a new deployment that did nothing but look, and ask for its lease."""
    begun = [event for event in events if event.get("type") == BEGIN]
    new = [
        event
        for event in begun
        if event.get("command") == "deploy" and not event.get("resumed", True)
    ]
    did = [event for event in events if event.get("type") == STEP]
    return len(begun) == len(new) == 1 and all(event.get("step") in ASKING for event in did)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _machine() -> str:
    """Return what names this machine since it was started."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return f"{uuid.getnode():x}"
