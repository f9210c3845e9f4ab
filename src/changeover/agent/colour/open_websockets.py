"""The WebSockets that are open to a colour, and how those of a drain have ended.

They are counted where the kernel lists the connections of unix sockets, at the sockets that the
colour's site upgrades on. How each one ended only the app knows: where it leaves ``drained.json``
beside its sockets, such as ``{"websockets": {"1001": 98, "1006": 2}}``, its counts by close code are
told.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent.colour import manifest
from changeover.agent.failure import ActionError
from changeover.agent.traffic import site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from changeover.agent.call import Call

UPGRADED = re.compile(r"proxy_set_header\s+Upgrade\s")
LOCATION = re.compile(r"(?m)^\s*location\s")
CONNECTED = "03"  # SS_CONNECTED of the kernel
STATE, PATH = 5, 7
TOLD = "drained.json"
LONGEST = 4096
CODE = re.compile(r"[1-4][0-9]{3}")
# RFC 6455, 7.4.1: what an end without a close frame is called.
ABNORMAL = "1006"


def open_to(call: Call, colour: str) -> int:
    """Return how many WebSockets are open to a colour.

    Where its socket for them serves requests, too, those in flight are among them.
    """
    paths = {str(call.places.socket(colour, name)) for name in _sockets(call, colour)}
    if not paths:
        return 0
    try:
        rows = (call.host.root / "proc/net/unix").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = (line.split(maxsplit=PATH) for line in rows.splitlines()[1:])
    return sum(len(row) > PATH and row[STATE] == CONNECTED and row[PATH] in paths for row in fields)


def _sockets(call: Call, colour: str) -> set[str]:
    """Return the sockets that a colour's site upgrades connections on."""
    release = call.places.release(colour)
    try:
        own = manifest.read(release).site
        text = (release / own).read_text(encoding="utf-8", errors="replace") if own else ""
    except (OSError, ActionError):
        return set()
    return {
        name
        for location in LOCATION.split(text)[1:]
        if UPGRADED.search(location)
        for name in site.named(call, location)
    }


def forget(call: Call, colour: str) -> None:
    """Take away what an earlier drain of a colour has left."""
    with contextlib.suppress(OSError):
        (call.places.runtime / colour / TOLD).unlink(missing_ok=True)


@dataclass(slots=True)
class Drain:
    """The WebSockets of one colour while it drains.

    Args:
        before: How many were open when it began.
        left: The most that were open at one of the last two looks: the last one may find an app that was
            just killed, and with it nothing.
        last: How many were open at the last look.
    """

    call: Call
    colour: str
    before: int = 0
    left: int = 0
    last: int = 0

    @classmethod
    def begin(cls, call: Call, colour: str) -> Drain:
        """Count, and forget what an earlier drain of the colour has left."""
        forget(call, colour)
        count = open_to(call, colour)
        return cls(call, colour, count, count, count)

    def look(self) -> None:
        """Count again; called until the last process has ended."""
        count = open_to(self.call, self.colour)
        self.left, self.last = max(self.last, count), count

    def end(self, *, killed: bool) -> dict[str, Any]:
        """Return what became of them.

        Returns:
            ``open`` at the beginning; ``closed`` by close code, ``None`` where the app does not
            tell; ``cut``, those that ended without a close frame, or were open when the colour was
            killed.
        """
        told = _told(self.call.places.runtime / self.colour / TOLD)
        if told is None:
            cut = self.left if killed else 0
            return {"open": self.before, "closed": None, "cut": cut}
        closed = {code: count for code, count in sorted(told.items()) if code != ABNORMAL}
        ended = sum(told.values())
        before = max(self.before, ended)
        return {"open": before, "closed": closed, "cut": before - sum(closed.values())}


def _told(path: Path) -> Mapping[str, int] | None:
    """Return an app's own counts; what it wrote may be anything."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = stream.read(LONGEST + 1)
        counts = json.loads(content)["websockets"] if len(content) <= LONGEST else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(counts, dict) or not all(map(_count, counts, counts.values())):
        return None
    return counts


def _count(code: object, number: object) -> bool:
    known = isinstance(code, str) and CODE.fullmatch(code) is not None
    return known and isinstance(number, int) and not isinstance(number, bool) and number >= 0
