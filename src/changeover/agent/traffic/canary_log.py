"""What Nginx wrote of the requests of a canary: how many each colour answered, how, and how fast.

A place in the log is its file and how far into it. Whoever asks gives the place that was read to
last, so that each line is counted once and nothing is kept here. The log may be put aside once
between two looks, as logrotate does; more is not followed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LINE = re.compile(rb"\S+/(next|current)/ (\d{3}) (\d+\.\d+)\n")
SIDES = {b"next": "new", b"current": "old"}
WEBSOCKET, ERROR = 101, 500
# Whole milliseconds to a second, then ever coarser, so that an answer stays small.
FINE, COARSE = 1000, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a log was read: its file, by inode, and the bytes of it."""

    inode: int
    offset: int


def end(path: Path) -> Place:
    """Return the place behind everything that is written by now."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return Place(inode=0, offset=0)
    return Place(inode=found.st_ino, offset=found.st_size)


def read(path: Path, since: Place) -> tuple[dict[str, Any], Place]:
    """Count what was written since a place; return it by colour, and the place after it.

    Returns:
        By ``new`` and ``old``: ``requests``, ``errors`` (5xx), and ``milliseconds``, how many
        answers took how long; WebSockets are in none of them.

    Raises:
        ActionError: ``log-lost``; the file of that place is not there any more.
    """
    counted = {side: _Counted() for side in SIDES.values()}
    for file, offset in _files(path, since):
        with file.open("rb") as stream:
            stream.seek(offset)
            reached = offset + _count(stream, counted)
            place = Place(inode=file.stat().st_ino, offset=reached)
    return {side: each.as_result() for side, each in counted.items()}, place


def _files(path: Path, since: Place) -> list[tuple[Path, int]]:
    now = end(path)
    if since.inode in {0, now.inode} and now.inode:
        return [(path, since.offset)]
    aside = path.with_name(f"{path.name}.1")
    if now.inode and end(aside).inode == since.inode:
        return [(aside, since.offset), (path, 0)]
    raise ActionError("log-lost", f"{path} is not the log any more that was read before")


class _Counted:
    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.milliseconds: Counter[int] = Counter()

    def as_result(self) -> dict[str, Any]:
        spent = {str(value): number for value, number in sorted(self.milliseconds.items())}
        return {"requests": self.requests, "errors": self.errors, "milliseconds": spent}


def _count(lines: Iterable[bytes], counted: dict[str, _Counted]) -> int:
    """Count whole lines; return their bytes. One that Nginx answered by itself has no time."""
    length = 0
    for line in lines:
        if not line.endswith(b"\n"):
            break
        length += len(line)
        found = LINE.fullmatch(line)
        if found is None or int(found[2]) == WEBSOCKET:
            continue
        side = counted[SIDES[found[1]]]
        side.requests += 1
        side.errors += int(found[2]) >= ERROR
        side.milliseconds[_rounded(round(float(found[3]) * 1000))] += 1
    return length


def _rounded(milliseconds: int) -> int:
    if milliseconds < FINE:
        return milliseconds
    step = 10 if milliseconds < FINE * 10 else 1000
    return min(milliseconds // step * step, COARSE)
