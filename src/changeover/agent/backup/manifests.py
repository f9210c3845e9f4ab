"""A backup's manifest: what it holds, to the byte, and whether it still does."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from changeover.agent.backup.store import (
    MANIFEST,
    SUMS,
    Record,
    damaged,
    give,
    measure,
    read_sealed,
    render,
)
from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
ATTACHMENTS = "attachments"
PROOF = "proved.json"


def files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Give (member, path) of everything in a backup but its own records, by name."""
    for path in sorted(directory.rglob("*")):
        member = path.relative_to(directory).as_posix()
        if path.is_symlink() or not path.is_dir():
            yield member, path


def seal(directory: Path, manifest: Record) -> Record:
    """Take the dump from the database's user, measure every member and close the backup.

    Args:
        directory: The unfinished backup.
        manifest: What is known of it; the members are added here.
    """
    folders = [directory, *(path for path in directory.rglob("*") if path.is_dir())]
    for folder in folders:
        give(folder, 0o750)
    members = {member: measure(path, seal=True) for member, path in files(directory)}
    for folder in folders:
        durable.sync_directory(folder)
    manifest = manifest | {"format": FORMAT, "members": members}
    content = render(manifest)
    durable.write(directory / MANIFEST, content)
    durable.write(directory / SUMS, sums(content, members))
    return manifest


def sums(manifest: bytes, members: Record) -> bytes:
    """Return the closing file: a line a member and one for the manifest, for ``sha256sum -c``."""
    digests = {member: facts["sha256"] for member, facts in members.items()}
    digests[MANIFEST] = hashlib.sha256(manifest).hexdigest()
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def load(directory: Path) -> Record:
    """Read the manifest of a closed backup.

    Raises:
        ActionError: ``backup-damaged`` when it or the closing file is not as written,
            ``backup-format`` when a later version wrote it.
    """
    for member in (MANIFEST, SUMS):
        if not (directory / member).is_file():
            raise damaged(member, "is missing")
    content = (directory / MANIFEST).read_bytes()
    closing = (directory / SUMS).read_bytes()
    own = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode()
    if own not in closing:
        raise damaged(MANIFEST, f"is not what {SUMS} was written for")
    manifest: Record = json.loads(content)
    if manifest["format"] != FORMAT:
        raise ActionError("backup-format", f"the backup has format {manifest['format']}")
    if sums(content, manifest["members"]) != closing:
        raise damaged(SUMS, "is not as it was written")
    return manifest


def digest(directory: Path) -> str:
    """Return the digest that stands for the whole backup without its attachments."""
    return hashlib.sha256((directory / SUMS).read_bytes()).hexdigest()


def attached(directory: Path) -> Record:
    """Return the attachments' facts by member name."""
    record = read_sealed(directory / f"{ATTACHMENTS}.json", f"{ATTACHMENTS}.json")
    return record["members"] if record else {}


def check(directory: Path) -> Record:
    """Read every byte of a backup and return its manifest when all of it is as written.

    Raises:
        ActionError: ``backup-damaged`` naming the first member that is not.
    """
    manifest = load(directory)
    attachments = attached(directory)
    for member in manifest["expects"]:
        if member not in attachments:
            raise damaged(f"{ATTACHMENTS}/{member}", "is missing")
    expected = manifest["members"] | {
        f"{ATTACHMENTS}/{name}": facts for name, facts in attachments.items()
    }
    records = {MANIFEST, SUMS, PROOF, f"{ATTACHMENTS}.json"}
    found = {member: path for member, path in files(directory) if member not in records}
    for member in sorted(expected.keys() | found.keys()):
        if member not in found:
            raise damaged(member, "is missing")
        if member not in expected:
            raise damaged(member, "is not part of the backup")
        facts = measure(found[member])
        if facts["bytes"] != expected[member]["bytes"]:
            raise damaged(
                member, f"has {facts['bytes']} bytes instead of {expected[member]['bytes']}"
            )
        if facts != expected[member]:
            raise damaged(member, "is not as it was written")
    return manifest


def proof(directory: Path) -> Record | None:
    """Return the proof of this very backup, or ``None`` when it is unproved or the proof is not."""
    try:
        record = read_sealed(directory / PROOF, PROOF)
        whole = record is not None and record["digest"] == digest(directory)
    except (ActionError, OSError):
        return None
    return record if whole else None
