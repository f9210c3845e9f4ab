"""Room on the disks of a server: for a copy, and for what the live server itself may still write there.

A server stops for all users of all databases when it is its log of writes that meets the end of the
disk. So whatever grows beside it leaves what that log may still come to, and is watched while it grows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.agent.postgres.session import Session

LOG = """
SELECT current_setting('data_directory') AS data, greatest(pg_size_bytes(current_setting('max_wal_size')),
pg_size_bytes(coalesce(current_setting('wal_keep_size', true), '0'))) AS most"""
# Eight files of log: its limit is a soft one, and who is ended goes on for a moment.
RESERVE_BYTES = 128 << 20


def require_free(directory: Path, needed: int, purpose: str) -> None:
    """Refuse to begin what would fill a disk.

    Raises:
        ActionError: ``disk-too-small`` with the bytes needed and free.
    """
    free = shutil.disk_usage(directory).free
    if free < needed:
        message = f"{purpose} needs {needed} bytes in {directory}, {free} are free"
        raise ActionError("disk-too-small", message, needed=needed, free=free)


class Room:
    """The file systems of a server, and one more that something is about to grow on.

    Args:
        session: A session of the live server.
        place: A directory where it grows; the server's data directory by default.
    """

    def __init__(self, session: Session, place: Path | None = None) -> None:
        facts = session.row(LOG)
        self._data = Path(str(facts["data"]))
        self._log = self._data / "pg_wal"
        self._most_log = int(facts["most"])
        self.place = place or self._data

    def ask(self, needed: int, purpose: str) -> None:
        """Refuse to begin what would take the live server's room.

        Args:
            needed: Bytes that it takes in the place.
            purpose: What it is.

        Raises:
            ActionError: ``disk-too-small`` with the bytes needed and free.
        """
        for directory, kept in self._kept():
            own = needed if directory == self.place else 0
            require_free(directory, own + kept, purpose)

    def watch(self, purpose: str) -> None:
        """Refuse to go on where less is free than the live server may still write.

        Raises:
            ActionError: ``disk-too-small`` with the bytes that are to stay free, and those that are.
        """
        for directory, kept in self._kept():
            require_free(directory, kept, f"the live server, beside {purpose} that has grown,")

    def spare(self) -> int:
        """Return the bytes of the place's file system that are the live server's alone."""
        return dict(self._kept())[self.place]

    def _kept(self) -> Iterator[tuple[Path, int]]:
        """Give one directory a file system, the place first, and the bytes that are to stay free there."""
        kept = {self.place: 0}
        for directory, more in ((self._data, RESERVE_BYTES), (self._log, self._log_to_come())):
            number = directory.stat().st_dev
            same = next((one for one in kept if one.stat().st_dev == number), directory)
            kept[same] = kept.get(same, 0) + more
        yield from kept.items()

    def _log_to_come(self) -> int:
        there = 0
        with os.scandir(self._log) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # the server removes some
                    there += file.stat(follow_symlinks=False).st_size
        return max(0, self._most_log - there)
