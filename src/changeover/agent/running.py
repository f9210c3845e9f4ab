"""The requests that change something here and now: listed, followed by the next one, ended.

Each has a file in memory for as long as it lives, and holds that file's lock, which the system lets go
with the process, however it ends. In it are the action at hand and what was said of it, for whoever
asks for the same: a request whose session was cut goes on, and the one that comes after it takes its
result instead of beginning a second time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from changeover.agent.failure import ActionError
from changeover.agent.system import durable, filelock
from changeover.agent.system.clock import stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.places import Places
    from changeover.agent.protocol import Action, Request

SUFFIX = ".jsonl"
BEGINS = "begins"
POLL_SECONDS = 0.02
# It beats every three seconds, and may be at a line that nobody takes for thirty.
HUNG_SECONDS = 45.0
# Where the whole host stood still, whoever lives beats again within this.
PROOF_SECONDS = 4.0
FOLLOW_SECONDS = 3600.0
# These look for themselves after one that was cut off, and tell more of it than a result does.
FOLLOWED_BY_THEMSELVES = ("migrator_", "task_", "backup_restore", "end")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One request at work.

    Args:
        path: Its file.
        unit: The unit that it is in; empty where systemd gave it none.
        deployment: Whose it is.
        number: Its fencing number.
        action: The action at hand; empty between two.
        digest: Of that action's parameters.
        since: When the action was begun.
        beat: When it beat last, by the clock that nobody sets.
        process: The process that does it.
        aside: Whether it changes the lease or a share's time alone: nobody is told of it.
    """

    path: Path
    unit: str
    deployment: str
    number: int
    action: str
    digest: str
    since: str
    beat: float
    process: int
    aside: bool

    @property
    def hung(self) -> bool:
        """Tell whether it gives no sign of life: it is stopped, and holds what others wait for."""
        return time.monotonic() - self.beat > HUNG_SECONDS

    def as_shown(self) -> Event:
        """Return it for others to see."""
        about = {"unit": self.unit, "deployment": self.deployment}
        return {**about, "action": self.action, "since": self.since}


class Record:
    """The file of the request that this process does; where memory has no room, there is none."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream = stream

    def note(self, event: Mapping[str, Any]) -> None:
        """Write one line for those who follow, or give the sign of life that they look for."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                if event["type"] != "beat":
                    self._stream.write(durable.encoded(json.dumps(event) + "\n"))
                    self._stream.flush()
                now = time.monotonic()
                os.utime(self._stream.fileno(), (now, now))

    def begins(self, action: Action) -> None:
        """Say which action is at hand from now on."""
        about = {"id": action.id, "action": action.name, "digest": digest(action.parameters)}
        self.note({"type": BEGINS, **about, "at": stamp()})


def digest(parameters: Mapping[str, Any]) -> str:
    """Return what equals for equal parameters, and tells none of them."""
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def recorded(
    places: Places, request: Request, unit: str, *, aside: bool = False
) -> Iterator[Record]:
    """Be listed as long as this is held; aside, for those alone who kill what hangs."""
    name = unit or f"process-{threading.get_native_id()}"
    path = places.running / f"{name}{SUFFIX}"
    number = (request.fence or {}).get("number")
    about = {"unit": unit, "process": os.getpid(), "deployment": request.deployment}
    head = {**about, "number": number, "at": stamp(), "aside": aside}
    with contextlib.ExitStack() as stack:
        try:
            durable.ensure_directory(path.parent.parent, 0o700)
            durable.ensure_directory(path.parent, 0o700)
            _forget_ended(places)
            stream = stack.enter_context(_locked(path))
        except OSError:
            yield Record(None)
            return
        record = Record(stream)
        record.note({"type": "run", **head})
        try:
            yield record
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - tests kill at what Path changes: this is no such step


def _locked(path: Path) -> IO[bytes]:
    """Return a file that is listed with its lock held, never without; one that is cut off here is none."""
    flags = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
    stream = os.fdopen(os.open(path.parent, flags, durable.PRIVATE), "wb")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Without a directory's number the link in /proc would be linked, not the file that it leads to.
        os.link(f"/proc/self/fd/{stream.fileno()}", path, src_dir_fd=stream.fileno())
    except OSError:
        stream.close()
        raise
    return stream


def _forget_ended(places: Places) -> None:
    for path in places.running.glob(f"*{SUFFIX}"):
        if not filelock.is_held(path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - as above


def listed(places: Places) -> list[Run]:
    """Return the requests at work, the eldest first."""
    return [run for run in _every(places) if not run.aside]


def _every(places: Places) -> list[Run]:
    found = []
    for path in places.running.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            if filelock.is_held(path) and (run := _run(path)):
                found.append(run)
    return sorted(found, key=lambda run: (run.since, run.unit))


def _run(path: Path) -> Run | None:
    head: Event = {}
    at_hand: Event = {}
    for event in _events(path.read_bytes()):
        if event["type"] == "run":
            head = event
        elif event["type"] == BEGINS:
            at_hand = event
        elif event["type"] in {"done", "failed"}:
            at_hand = {}
    if not head:
        return None
    # One of another version of the agent may lack something.
    return Run(
        path=path,
        unit=str(head.get("unit", "")),
        deployment=str(head.get("deployment", "")),
        number=int(head.get("number") or 0),
        action=str(at_hand.get("action", "")),
        digest=str(at_hand.get("digest", "")),
        since=str(at_hand.get("at") or head.get("at", "")),
        beat=path.stat().st_mtime,
        process=int(head.get("process") or 0),
        aside=bool(head.get("aside")),
    )


def _events(content: bytes) -> Iterator[Event]:
    for line in content.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def end_hung(call: Call) -> bool:
    """Kill requests that give no sign of life, with all that they started; tell whether there were any.

    What one of them did is finished or undone by whoever is next, as after any other kill. They may be
    of another app of this host: Nginx is one for all of them.
    """
    hung = _hung(call)
    if hung:
        time.sleep(PROOF_SECONDS)
        hung = [run for run in _hung(call) if run in hung]
    for run in hung:
        name = run.unit or f"process {run.process}"
        call.progress(f"{name} ({run.action}) gives no sign of life: it is killed")
        _kill(call, run)
    return bool(hung)


def _hung(call: Call) -> list[Run]:
    every = (run for app in call.host.apps for run in _every(call.host.places(app)))
    others = (run for run in every if run.process != os.getpid() and (run.unit or run.process))
    return [run for run in others if run.hung]


def _kill(call: Call, run: Run) -> None:
    if run.unit:
        call.host.programs.run("systemctl", "kill", "--signal=SIGKILL", "--", run.unit)
        return
    # It leads a group of its own, which all that it started is in.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.process, signal.SIGKILL)


def adopted(call: Call, action: Action) -> Result | None:
    """Follow the same action of this deployment to its end, where one is at work; return its result.

    ``None`` where there is none, or where it failed: it is then tried again.

    Raises:
        ActionError: ``agent-busy``; it does not end.
    """
    if action.name.startswith(FOLLOWED_BY_THEMSELVES):
        return None
    same = (call.deployment, action.name, digest(action.parameters))
    for run in listed(call.places):
        if (run.deployment, run.action, run.digest) == same:
            with contextlib.suppress(FileNotFoundError), run.path.open("rb") as stream:
                call.progress(f"{action.name} is at work since {run.since} ({run.unit}): followed")
                return _followed(call, run, stream)
    return None


def _followed(call: Call, run: Run, stream: IO[bytes]) -> Result | None:
    deadline = time.monotonic() + FOLLOW_SECONDS
    at_hand, pending = False, b""
    while True:
        over = filelock.is_free(stream)
        *lines, pending = (pending + stream.read()).split(b"\n")
        for event in _events(b"\n".join([*lines, b""])):
            if event["type"] == BEGINS:
                at_hand = (event["action"], event["digest"]) == (run.action, run.digest)
            elif at_hand and event["type"] == "progress":
                call.progress(str(event["message"]))
            elif at_hand and event["type"] == "done":
                return {**event["result"], "adopted": True, "skipped": bool(event["skipped"])}
            elif at_hand and event["type"] == "failed":
                return None
        if over or end_hung(call):
            return None
        if time.monotonic() >= deadline:
            raise ActionError(
                "agent-busy",
                f"{run.action} has been at work in {run.unit} for more than {FOLLOW_SECONDS:g} s",
            )
        call.give_way()
        time.sleep(POLL_SECONDS)
