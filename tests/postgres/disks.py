"""A small disk of a test's own, which can be filled and can grow."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Disk:
    """A small disk of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, size: str, *options: str) -> None:
        """Mount it, or with ``remount`` give it another size."""
        words = ",".join([f"size={size}", *options])
        command = ["mount", "-t", "tmpfs", "-o", words, "none", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"this test needs a small disk of its own: run it as root ({done.stderr})")

    def leave(self, size: int) -> None:
        """Fill it but for this many bytes."""
        taken = shutil.disk_usage(self.path).free - size
        subprocess.run(["fallocate", "-l", str(taken), str(self.path / "filled")], check=True)

    def grow(self) -> None:
        """Make room, as a person would."""
        self.mount("300m", "remount")


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Disk]:
    """Give a disk of this size, which PostgreSQL may write to."""
    path = Path(tempfile.mkdtemp(prefix="changeover-disk-", dir="/tmp"))
    disk = Disk(path)
    disk.mount(size)
    try:
        path.chmod(0o755)
        shutil.chown(path, "postgres", "postgres")
        yield disk
    finally:
        subprocess.run(["umount", str(path)], check=True)
        path.rmdir()
