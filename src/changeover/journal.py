"""The controller's journal: append-only events of one deployment, each chained to the one before.

The truth about a deployment is on its hosts and in the database's ledger. This copy is what
``history``, ``report`` and ``audit verify`` read. An event is a dict with a ``type``, a time ``at``
(UTC, ISO 8601), a number ``n`` from 0, and ``chain``: the sha256 over the previous event's chain
and this event's own content.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from changeover.errors import CheckRed, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Event = dict[str, Any]
FIRST_CHAIN = "0" * 64


class JournalAltered(CheckRed):
    """A journal is not what was written."""


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
        events = read(path) if path.exists() else []
        self._next = len(events)
        self._chain = str(events[-1]["chain"]) if events else FIRST_CHAIN

    @property
    def deployment(self) -> str:
        """The id of the deployment."""
        return self.path.stem

    def append(self, event: Event) -> Event:
        """Write one event durably, and return it as written."""
        clean = json.loads(self._redact(json.dumps({"n": self._next, "at": now(), **event})))
        clean["chain"] = _chained(self._chain, clean)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, (json.dumps(clean) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        self._next += 1
        self._chain = clean["chain"]
        return dict(clean)


def read(path: Path) -> list[Event]:
    """Return the events of a journal; a torn last line, from a crash while writing, is left out."""
    events: list[Event] = []
    for line in path.read_bytes().split(b"\n"):
        try:
            events.append(json.loads(line))
        except ValueError:
            break
    return events


def verify(path: Path) -> int:
    """Check the chain of a journal and return how many events it holds.

    Raises:
        JournalAltered: An event was changed, removed or added in between.
    """
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    chain = FIRST_CHAIN
    for number, line in enumerate(lines):
        try:
            event: Event = json.loads(line)
        except ValueError:
            event = {}
        if event.get("chain") != _chained(chain, event) or event.get("n") != number:
            raise JournalAltered(
                f"{path.name}: event {number} is not what was written",
                hint="compare with the journals on the hosts: changeover status",
                cause=line[:200],
            )
        chain = str(event["chain"])
    return len(lines)


def journals(directory: Path) -> Sequence[Path]:
    """Return the journals in a folder, oldest first."""
    return sorted(directory.glob("*.jsonl")) if directory.exists() else []


def find(directory: Path, deployment: str | None) -> Path:
    """Return the journal of one deployment, or the newest one.

    Raises:
        DeploymentUnknown: There is none.
    """
    found = [path for path in journals(directory) if deployment in {None, path.stem}]
    if not found:
        wanted = f"deployment {deployment}" if deployment else "any deployment"
        raise DeploymentUnknown(
            f"this controller has no journal of {wanted}", hint="changeover history"
        )
    return found[-1]
