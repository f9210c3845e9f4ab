"""Write and read the archive: the same members give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import tarfile
import zlib
from typing import IO, TYPE_CHECKING

import pydantic

from changeover.bundle.manifest import FILE_NAME, FileEntry, Manifest
from changeover.bundle.members import Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

COMPRESSION = 6
LARGEST_MANIFEST = 64 * 2**20


class ArchiveBroken(Exception):
    """The archive is not what its manifest says."""


def write(stream: IO[bytes], manifest: Manifest, members: Iterable[Member]) -> None:
    """Write a gzip-compressed tar: the manifest first, then the members sorted by path.

    No time, user, group or name of this machine goes in.
    """
    first = Member(FILE_NAME, manifest.as_bytes())
    with (
        gzip.GzipFile("", "wb", COMPRESSION, stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in (first, *sorted(members, key=lambda each: each.path)):
            content = member.content()
            entry = tarfile.TarInfo(member.path)
            entry.size = len(content)
            entry.mode = member.mode
            archive.addfile(entry, io.BytesIO(content))


def entry_of(member: Member) -> FileEntry:
    """Return a member as the manifest lists it."""
    content = member.content()
    return FileEntry(
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        mode="0755" if member.executable else "0644",
    )


def read_manifest(path: Path) -> Manifest:
    """Return the manifest, which is the first member.

    Raises:
        ArchiveBroken: The file is no such archive.
    """
    with _opened(path) as archive:
        return _manifest(archive)


def check(path: Path) -> Manifest:
    """Read everything, hold it against the manifest, and return that.

    Raises:
        ArchiveBroken: A member differs, is missing, comes twice or is not listed.
    """
    with _opened(path) as archive:
        manifest = _manifest(archive)
        left = dict(manifest.files)
        for entry in itertools.islice(_entries(archive), 1, None):
            expected = left.pop(entry.name, None)
            stream = archive.extractfile(entry) if entry.isreg() else None
            if expected is None or stream is None:
                raise ArchiveBroken(f"{entry.name} is not in its manifest")
            found = Member(entry.name, stream.read(), executable=bool(entry.mode & 0o100))
            if entry_of(found) != expected:
                raise ArchiveBroken(f"{entry.name} is not as its manifest says")
        if left:
            raise ArchiveBroken(f"{min(left)} is missing")
        return manifest


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:gz")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ArchiveBroken(f"it is not a bundle: {error}") from error


def _entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    try:
        yield from archive
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ArchiveBroken(f"the archive ends in the middle: {error}") from error


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    stream = archive.extractfile(first) if first is not None and first.isreg() else None
    if first is None or stream is None or first.name != FILE_NAME:
        raise ArchiveBroken("it does not begin with a manifest")
    if first.size > LARGEST_MANIFEST:
        raise ArchiveBroken("its manifest is too large")
    try:
        return Manifest.model_validate_json(stream.read())
    except pydantic.ValidationError as error:
        raise ArchiveBroken(
            f"its manifest is not of format 1: {error.errors()[0]['msg']}"
        ) from None
