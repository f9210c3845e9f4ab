"""Keep installed packages between builds, so that releases with one lock file install once."""

from __future__ import annotations

import hashlib
import io
import platform
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.bundle.manifest import canonical
from changeover.bundle.verifying import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from changeover.bundle.members import Member


def key_of(code: Sequence[Member], files: Collection[str], *more: str) -> str:
    """Return the name under which the packages of this code are kept.

    Args:
        code: The code.
        files: Those of its files that decide what is installed.
        more: What decides it besides, and this machine.
    """
    deciding = {member.path: member.sha256() for member in code if member.path in files}
    content = canonical([deciding, *more, sys.platform, platform.machine()])
    return hashlib.sha256(content).hexdigest()


def restore(store: Path, key: str, place: Path) -> bool:
    """Lay kept packages into ``place``; tell whether there were any, and whole.

    A kept archive carries its own digest in its name: one that was changed counts as absent.
    """
    for archive in store.glob(f"{key}.*.tar"):
        if digest_of(archive) == archive.name.split(".")[1]:
            with tarfile.open(archive) as packed:
                packed.extractall(place, filter="data")
            return True
        archive.unlink(missing_ok=True)
    return False


def keep(store: Path, key: str, members: Sequence[Member]) -> None:
    """Keep the packages that were installed."""
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=store, prefix=".keeping-", delete=False) as stream:
        partial = Path(stream.name)
        with tarfile.open(fileobj=stream, mode="w") as packed:
            for member in members:
                entry = tarfile.TarInfo(member.path)
                entry.mode = member.mode
                content = member.content()
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
    partial.rename(store / f"{key}.{digest_of(partial)}.tar")
