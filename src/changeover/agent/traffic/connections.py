"""The TCP connections that clients hold to Nginx, as the kernel lists them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ESTABLISHED, LISTENING = "01", "0A"
TABLES = ("proc/net/tcp", "proc/net/tcp6")
LOCAL, REMOTE, STATE, INODE = 1, 2, 3, 9

Connection = tuple[str, str]


def to_process(root: Path, process: int) -> set[Connection]:
    """Return the established connections to the ports that a process listens on."""
    sockets = _sockets(root / f"proc/{process}/fd")
    rows = list(_rows(root))
    ports = {
        row[LOCAL].rpartition(":")[2]
        for row in rows
        if row[STATE] == LISTENING and row[INODE] in sockets
    }
    return {
        (row[LOCAL], row[REMOTE])
        for row in rows
        if row[STATE] == ESTABLISHED and row[LOCAL].rpartition(":")[2] in ports
    }


def _rows(root: Path) -> Iterator[list[str]]:
    for table in TABLES:
        try:
            lines = (root / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            yield line.split()


def _sockets(directory: Path) -> set[str]:
    """Return the inodes of a process's sockets."""
    found: set[str] = set()
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return found
    for entry in entries:
        try:
            target = os.readlink(entry.path)  # noqa: PTH115 - a DirEntry's path is text
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[len("socket:[") : -1])
    return found
