"""The controller's journal: append-only events of one deployment, each chained to the one before.

The truth about a deployment is on its hosts and in the database's ledger. This copy is what
``history``, ``report`` and ``audit verify`` read. An event is a dict with a ``type``, a time ``at``
(UTC, ISO 8601), a number ``n`` from 0, and ``chain``: the sha256 over the previous event's chain
and this event's own content.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from changeover.errors import CheckRed, Failed, InvalidInput
from changeover.secret import in_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Event = dict[str, Any]
FIRST_CHAIN = "0" * 64
WAIT_SECONDS = 10.0
PAUSE_SECONDS = 0.02


class JournalAltered(CheckRed):
    """A journal is not what was written."""


class JournalUnwritable(Failed):
    """An event could not be made durable on this controller."""


class DeploymentUnknown(InvalidInput):
    """No journal of that deployment is on this controller."""


def now() -> str:
    """Return the present as ISO 8601 in UTC, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def new_id() -> str:
    """Return a deployment id that sorts by time: ``20260115T101500-3fa2c1``."""
    moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{moment}-{secrets.token_hex(3)}"


def _chained(previous: str, event: Event) -> str:
    content = json.dumps({k: v for k, v in event.items() if k != "chain"}, sort_keys=True)
    return hashlib.sha256((previous + content).encode()).hexdigest()


class Journal:
    """One deployment's events on this controller.

    Args:
        path: The file; its folder is made when the first event is written.
        redact: Takes secrets out of the text of each event before it is written.
    """

    def __init__(self, path: Path, redact: Callable[[str], str]) -> None:
        self.path = path
        self._redact = redact
        self._size = 0
        self._next = 0
        self._chain = FIRST_CHAIN

    @property
    def deployment(self) -> str:
        """The id of the deployment."""
        return self.path.stem

    def append(self, event: Event) -> Event:
        """Write one event durably, and return it as written.

        A line that a crash or a full disk cut short is taken away first: nobody was told of it.

        Raises:
            JournalUnwritable: It is not on the disk; what was there before is as it was.
        """
        try:
            with _opened(self.path) as handle:
                if os.fstat(handle).st_size != self._size:
                    self._catch_up(handle)
                return self._write(handle, event)
        except OSError as error:
            raise JournalUnwritable(
                f"the journal {self.path} cannot be written",
                hint="make room on this controller, or give its user the folder, then run this again",
                cause=str(error),
            ) from error

    def spoken(self, event: Event) -> Event:
        """Return an event as it would be written, for telling it where it cannot be."""
        # as a reader gets it back: the chain is over that
        plain = json.loads(json.dumps({"at": now(), **event}))
        clean: Event = in_texts(plain, self._redact)
        return clean

    def beside(self, kind: str, text: str) -> Path:
        """Keep text in a file of its own beside the journal, without secrets; return where.

        Raises:
            JournalUnwritable: It cannot be written.
        """
        path = self.path.with_suffix(f".{kind}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._redact(text), encoding="utf-8")
            path.chmod(0o600)
        except OSError as error:
            raise JournalUnwritable(
                f"{path} cannot be written",
                hint="make room on this controller, or give its user the folder, then run this again",
                cause=str(error),
            ) from error
        return path

    def _catch_up(self, handle: int) -> None:
        """Mend the end of the file, and go on from the event that stands there."""
        content = _content(handle)
        torn = content.rpartition(b"\n")[2]
        if torn and _event(torn) is not None:
            _write_all(handle, b"\n")
        elif torn:
            os.ftruncate(handle, len(content) - len(torn))
        self._size = os.fstat(handle).st_size
        events = _events(content)
        self._next = len(events)
        self._chain = str(events[-1].get("chain")) if events else FIRST_CHAIN

    def _write(self, handle: int, event: Event) -> Event:
        clean: Event = {"n": self._next, **self.spoken(event)}
        clean["chain"] = _chained(self._chain, clean)
        line = (json.dumps(clean) + "\n").encode()
        _write_all(handle, line)
        os.fsync(handle)
        self._size += len(line)
        self._next += 1
        self._chain = clean["chain"]
        return clean


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Give a descriptor that appends to a file of ours alone, whose name is durable."""
    _ensure_directory(path.parent)
    fresh = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if fresh:
            _sync_directory(path.parent)
        _lock(handle)
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


def _ensure_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    _ensure_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _content(handle: int) -> bytes:
    parts: list[bytes] = []
    while part := os.pread(handle, 1 << 20, sum(map(len, parts))):
        parts.append(part)
    return b"".join(parts)


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _events(content: bytes) -> list[Event]:
    return [event for line in content.split(b"\n") if (event := _event(line)) is not None]


def read(path: Path) -> list[Event]:
    """Return the events of a journal; what is no event, such as a line cut by a crash, is left out."""
    return _events(path.read_bytes())


def verify(path: Path) -> int:
    """Check the chain of a journal and return how many events it holds.

    A last line that a crash cut short is no event and no alteration: nothing was told of it.

    Raises:
        JournalAltered: An event was changed, removed or added in between.
    """
    *lines, torn = path.read_bytes().split(b"\n")
    if torn and _event(torn) is not None:
        lines.append(torn)
    chain = FIRST_CHAIN
    number = 0
    for line in filter(None, lines):
        event = _event(line) or {}
        if event.get("chain") != _chained(chain, event) or event.get("n") != number:
            raise JournalAltered(
                f"{path.name}: event {number} is not what was written",
                hint="compare with the journals on the hosts: changeover status",
                cause=line[:200].decode(errors="replace"),
            )
        chain = str(event["chain"])
        number += 1
    return number


def journals(directory: Path) -> Sequence[Path]:
    """Return the journals in a folder, oldest first."""
    return sorted(directory.glob("*.jsonl")) if directory.exists() else []


def find(directory: Path, deployment: str | None, *, app: str) -> Path:
    """Return the journal of one deployment, or the newest one of an app.

    Raises:
        DeploymentUnknown: There is none.
    """
    for path in reversed(journals(directory)):
        if path.stem == deployment or (deployment is None and _app_of(path) == app):
            return path
    wanted = f"deployment {deployment}" if deployment else f"any deployment of {app}"
    raise DeploymentUnknown(
        f"this controller has no journal of {wanted}", hint="changeover history"
    )


def _app_of(path: Path) -> str | None:
    """Return the app whose deployment a journal tells."""
    told = (event["app"] for event in read(path) if "app" in event)
    return next(told, None)
