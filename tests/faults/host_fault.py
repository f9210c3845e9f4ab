"""A fault inside the host's agent: loaded by the host's Python at its start, it strikes at a numbered point.

It is a `sitecustomize` of the lab host, so nothing of the agent is changed. What it does stands in
FAULT: what happens, at which kind of point (before or after a record of the agent's journal, or before
a change of a file or the start of a program), and at which one, counted over all agents. It strikes once.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAULT = Path("/run/fault.json")
COUNT = "/run/fault.count"
AGENT = "lib/changeover/agent"
POWER_OFF = 0x4321FEDC
CHANGES = {"os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "subprocess.Popen"}
_sync = os.fsync


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _above() -> Iterator[int]:
    pid = _parent(os.getpid())
    while pid > 1:
        yield pid
        pid = _parent(pid)


def _kill() -> None:
    for pid in list(_above()):
        words = Path(f"/proc/{pid}/cmdline").read_text()
        if "python3" in words and AGENT in words:
            os.kill(pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _cut() -> None:
    above = [pid for pid in _above() if _parent(pid) != 1]
    for pid in above:
        if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
            os.kill(pid, signal.SIGKILL)


def _off() -> None:
    ctypes.CDLL(None).reboot(POWER_OFF)
    os.kill(os.getpid(), signal.SIGSTOP)


STRIKES: dict[str, Callable[[], None]] = {"kill": _kill, "cut": _cut, "off": _off}


def _appends(path: object, _: object, flags: int) -> bool:
    return str(path).endswith("/journal.jsonl") and bool(flags & os.O_APPEND)


class Fault:
    """One fault as it was armed."""

    def __init__(self, what: str, at: str, number: int) -> None:
        self._strike = STRIKES[what]
        self._chosen = (at, number)
        self._busy = False

    def point(self, at: str) -> None:
        """Count a point of this kind, and strike at the one that was asked for."""
        if self._busy:
            return
        self._busy = True
        try:
            handle = os.open(f"{COUNT}.{at}", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.write(handle, b".")
            seen = os.fstat(handle).st_size
            os.close(handle)
            if (at, seen) == self._chosen:
                self._strike()
        finally:
            self._busy = False

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hear of what this process is about to do."""
        if event in CHANGES:
            self.point("change")
        elif event == "open" and _appends(*arguments):
            self.point("before")

    def synced(self, descriptor: int) -> None:
        """Sync a file; what follows a record of the journal is a point."""
        _sync(descriptor)
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).endswith("/journal.jsonl"):
            self.point("after")


if any(word.endswith(AGENT) for word in sys.orig_argv) and FAULT.exists():
    fault = Fault(**json.loads(FAULT.read_text()))
    os.fsync = fault.synced  # type: ignore[assignment]
    sys.addaudithook(fault.audit)
