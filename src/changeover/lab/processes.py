"""Start processes that outlive this one, and recognise them later beyond doubt.

An id alone is not enough: ids are used again. A process is the same only if its start time and the
boot it was started in are the same, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROC = Path("/proc")
JOIN = 'for group in $0; do echo $$ >"$group/cgroup.procs" || exit 70; done; cd "$1" && shift && exec "$@"'
POLL_SECONDS = 0.05
STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A process that the lab started; ``started`` is in clock ticks since boot."""

    pid: int
    started: int
    boot: str


def boot_identity() -> str:
    """Return the id that the kernel drew when this machine was booted."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Return when a live process started, in clock ticks since boot; None when it has ended."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def record(pid: int) -> ProcessRecord | None:
    """Return what identifies a process, or None when it has ended already."""
    started = start_time(pid)
    if started is None:
        return None
    return ProcessRecord(pid=pid, started=started, boot=boot_identity())


def is_alive(process: ProcessRecord | None) -> bool:
    """Tell whether exactly this process still runs."""
    if process is None:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return process.boot == boot_identity() and start_time(process.pid) == process.started


def spawn(
    arguments: Sequence[str],
    *,
    log: Path,
    directory: Path,
    environment: Mapping[str, str],
    groups: Sequence[Path] = (),
) -> ProcessRecord | None:
    """Start a program in a session of its own and return who it is.

    Args:
        arguments: The program and its arguments.
        log: The file its output is appended to; made with mode 0600.
        directory: Where it runs.
        environment: All of its environment.
        groups: Control groups it joins before anything else.

    Returns:
        The process, or None when it ended at once.
    """
    shell = ["sh", "-c", JOIN, " ".join(map(str, groups)), str(directory), *arguments]
    pid = os.posix_spawn(
        "/bin/sh",
        shell,
        dict(environment),
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *((os.POSIX_SPAWN_CLOSE, number) for number in _handed_down()),
        ),
        setsid=True,
    )
    return record(pid)


def _handed_down() -> list[int]:
    """Return the open files that a child would get from us: a lock of our caller's, or its pipe.

    What lives on after us must not keep them open.
    """
    numbers = (int(entry.name) for entry in (PROC / "self/fd").iterdir())
    found: list[int] = []
    for number in numbers:
        # the directory that is read here is closed by now
        with contextlib.suppress(OSError):
            if number > STANDARD_ERROR and os.get_inheritable(number):
                found.append(number)
    return found


def signal_process(process: ProcessRecord | None, number: signal.Signals) -> bool:
    """Send a signal if exactly this process still runs; tell whether it did."""
    if process is None or not is_alive(process):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
    return True


def wait_for_end(process: ProcessRecord | None, seconds: float) -> bool:
    """Wait until the process has ended; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def descendants(pid: int) -> tuple[ProcessRecord, ...]:
    """Return the live processes below ``pid``, children first."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[ProcessRecord] = []
    pending = list(parents.get(pid, ()))
    while pending:
        child = pending.pop(0)
        pending += parents.get(child, ())
        identity = record(child)
        if identity is not None:
            found.append(identity)
    return tuple(found)


def kill_tree(process: ProcessRecord | None, seconds: float) -> bool:
    """Kill a process and all below it; tell whether it was gone in time."""
    if process is None or not is_alive(process):
        return True
    tree = (process, *descendants(process.pid))
    for member in tree:
        signal_process(member, signal.SIGKILL)
    return all(wait_for_end(member, seconds) for member in tree)
