"""A bundle's archive laid out as files: only what its manifest lists, and all of it."""

from __future__ import annotations

import hashlib
import os
import tarfile
from typing import IO, TYPE_CHECKING

from changeover.agent import names
from changeover.agent.colour import manifest as manifests
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from changeover.agent.colour.manifest import Manifest, Member

LARGEST_MANIFEST = 64 * 1024 * 1024
CHUNK = 1 << 20


def manifest_of(bundle: Path) -> Manifest:
    """Read the manifest, which is the archive's first member.

    Raises:
        ActionError: ``bundle-invalid``.
    """
    return manifests.parse(_manifest_bytes(bundle))


def unpack(bundle: Path, target: Path, meanwhile: Callable[[], None]) -> int:
    """Write the bundle's files below ``target``, a new directory; return their bytes.

    Every member has to be a plain file or a directory with a path inside, listed in the manifest
    with the size and digest it has, once. Nothing is taken from the archive's own modes or owners.
    ``meanwhile`` is called between two members, and may raise to end it.

    Raises:
        ActionError: ``bundle-invalid``.
        OSError: The disk, for one that is full.
    """
    content = _manifest_bytes(bundle)
    listed = dict(manifests.parse(content).files)
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    written = _write(target / manifests.FILE_NAME, content)
    try:
        with tarfile.open(bundle, "r:gz") as archive:
            for index, entry in enumerate(archive):
                if index == 0 or entry.isdir():
                    continue
                meanwhile()
                written += _take(archive, entry, target, listed)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ActionError("bundle-invalid", f"the archive cannot be read: {error}") from error
    if listed:
        first = min(listed)
        raise ActionError("bundle-invalid", f"the archive lacks {len(listed)} files: {first}, …")
    return written


def _manifest_bytes(bundle: Path) -> bytes:
    try:
        with tarfile.open(bundle, "r:gz") as archive:
            first = archive.next()
            if first is None or first.name != manifests.FILE_NAME or not first.isfile():
                raise ActionError("bundle-invalid", "the archive does not begin with its manifest")
            stream = archive.extractfile(first)
            if stream is None or first.size > LARGEST_MANIFEST:
                raise ActionError("bundle-invalid", "the manifest is too large")
            return stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ActionError("bundle-invalid", f"the archive cannot be read: {error}") from error


def _take(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path, listed: dict[str, Member]
) -> int:
    if not entry.isreg():
        raise ActionError("bundle-invalid", f"{entry.name} is neither a file nor a directory")
    try:
        path = names.inner_path(entry.name)
    except ActionError as error:
        raise ActionError("bundle-invalid", error.message) from error
    member = listed.pop(path, None)
    stream = archive.extractfile(entry)
    if member is None or stream is None:
        raise ActionError("bundle-invalid", f"{path} is not in the manifest, or comes twice")
    if entry.size != member.size:
        raise ActionError("bundle-invalid", f"{path} has not the size that the manifest says")
    _lay(stream, target / path, member, path)
    return member.size


def _lay(stream: IO[bytes], destination: Path, member: Member, path: str) -> None:
    digest = hashlib.sha256()
    _directories(destination.parent)
    with destination.open("xb") as file:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
        os.fchmod(file.fileno(), member.mode)
    if digest.hexdigest() != member.sha256:
        raise ActionError("bundle-invalid", f"{path} has not the content that the manifest says")


def _directories(directory: Path) -> None:
    if not directory.is_dir():
        _directories(directory.parent)
        directory.mkdir(mode=0o755)
        directory.chmod(0o755)


def _write(path: Path, content: bytes) -> int:
    path.write_bytes(content)
    path.chmod(0o644)
    return len(content)
