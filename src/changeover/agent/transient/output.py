"""What a program of an app prints: read from a file that only root may read, masked, told and kept.

The unit writes to a file in memory, so that it depends on no reader: one that went away is followed
by another. What was read is given back to the system without moving what comes behind it.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from typing import TYPE_CHECKING

from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 1 << 20
LONGEST_LINE = 1 << 16
# Of a long output the beginning and the end are kept.
KEPT_BYTES = 256 * 1024
TOLD_LINES_A_LOOK = 200
PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01  # linux/falloc.h


class Output:
    """The output of one run.

    Args:
        raw: The file that the unit writes to.
        kept: Where it is kept, masked; of an adopted run it is gone on with.
        masked: Takes secrets out of a line.
        tell: Hears the lines.
        anew: Whether the run begins now.
    """

    def __init__(
        self,
        raw: Path,
        kept: Path,
        masked: Callable[[str], str],
        tell: Callable[[str], None],
        *,
        anew: bool,
    ) -> None:
        self._raw, self._kept, self._masked, self._tell = raw, kept, masked, tell
        self._offset = 0
        self._rest = b""
        self._end: deque[str] = deque()
        self._end_bytes = 0
        self._left_out = 0
        self.lines = 0
        if anew or not kept.exists():
            durable.ensure_directory(kept.parent, 0o700)
            durable.write(kept, b"")
        self._size = kept.stat().st_size

    def drain(self, *, last: bool = False) -> bool:
        """Take what is new; tell whether there was anything."""
        found: list[str] = []
        while (chunk := self._chunk()) is not None:
            *complete, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > LONGEST_LINE:
                complete.append(self._rest)
                self._rest = b""
            found += [self._clean(line) for line in complete]
        if last and self._rest:
            found.append(self._clean(self._rest))
            self._rest = b""
        for line in found:
            self._keep(line)
        for line in found[:TOLD_LINES_A_LOOK]:
            self._tell(f"| {line}")
        if found[TOLD_LINES_A_LOOK:]:
            self._tell(f"| … {len(found) - TOLD_LINES_A_LOOK} lines more")
        self.lines += len(found)
        if last:
            self._close()
        return bool(found)

    def _chunk(self) -> bytes | None:
        """Return what comes next, ``None`` at the end; what another reader gave back is empty."""
        try:
            with self._raw.open("r+b", buffering=0) as stream:
                stream.seek(self._offset)
                chunk = stream.read(CHUNK)
                self._offset += len(chunk)
                _give_back(stream.fileno(), self._offset)
        except FileNotFoundError:
            return None
        if not chunk:
            return None
        # what another reader gave back reads as zeros
        return chunk.lstrip(b"\0")

    def _clean(self, line: bytes) -> str:
        text = self._masked(line.decode("utf-8", "replace").rstrip("\r"))
        return "".join(
            character if character.isprintable() or character == "\t" else " " for character in text
        )

    def _keep(self, line: str) -> None:
        content = durable.encoded(f"{line}\n")
        if self._size + len(content) <= KEPT_BYTES:
            self._size += len(content)
            with self._kept.open("ab") as stream:
                stream.write(content)
            return
        self._end.append(line)
        self._end_bytes += len(content)
        while self._end_bytes > KEPT_BYTES:
            self._end_bytes -= len(durable.encoded(f"{self._end.popleft()}\n"))
            self._left_out += 1

    def _close(self) -> None:
        left_out = [f"[{self._left_out} lines are left out]"] if self._left_out else []
        with self._kept.open("ab") as stream:
            stream.write(durable.encoded("".join(f"{line}\n" for line in [*left_out, *self._end])))
        self._end.clear()
        self._size = KEPT_BYTES


def _give_back(descriptor: int, length: int) -> None:
    """Free the memory of what was read; where that cannot be done, it is freed at the end."""
    fallocate = getattr(ctypes.CDLL(None), "fallocate64", None)
    if fallocate is not None and length and os.fstat(descriptor).st_blocks:
        fallocate(descriptor, PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(length))
