"""Changes to files that are whole after any crash: written beside, synced, renamed, synced."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


def encoded(text: str) -> bytes:
    """Return JSON text as bytes. A name that is no Unicode stays as JSON's own escape of it."""
    return text.encode(errors="backslashreplace")


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ensure_directory(directory: Path, mode: int = 0o755) -> None:
    """Create a directory and its parents, durably; one that exists keeps its mode."""
    if directory.is_dir():
        return
    ensure_directory(directory.parent)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=mode)
        directory.chmod(mode)
        sync_directory(directory.parent)


def _beside(path: Path) -> Path:
    # Always the same: whoever writes the file next finds what one that was killed has left there.
    return path.with_name(f".{path.name}.new")


def clear(*paths: Path) -> None:
    """Remove what was written beside these files by one that was killed before the rename."""
    for path in paths:
        _beside(path).unlink(missing_ok=True)


def write(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Replace a file's content; a reader sees the old or the new, never a part of it.

    Of two writers of one file, one has to wait for the other: the callers hold a lock.
    """
    temporary = _beside(path)
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def link(path: Path, target: str) -> None:
    """Point a symbolic link at ``target`` by one rename, whether or not it existed."""
    temporary = _beside(path)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)
    sync_directory(path.parent)


def remove(path: Path) -> bool:
    """Remove a file or link; tell whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_directory(path.parent)
    return True


def remove_tree(directory: Path) -> bool:
    """Remove a directory with everything in it, out of sight first; tell whether it was there.

    An overlay file system does not rename a directory of its lower layers; there it is emptied
    where it stands, and whoever was killed at that is finished by the next removal.
    """
    doomed = directory.with_name(f".{directory.name}.gone")
    if doomed.exists():
        shutil.rmtree(doomed)
    if directory.is_symlink() or not directory.is_dir():
        return False
    try:
        directory.rename(doomed)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        doomed = directory
    else:
        sync_directory(directory.parent)
    shutil.rmtree(doomed)
    sync_directory(directory.parent)
    return True


def read_link(path: Path) -> str | None:
    """Return what a symbolic link says, or ``None`` where there is none."""
    try:
        return str(path.readlink())
    except OSError:
        return None
