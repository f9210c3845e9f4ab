"""Mount a host's root: an image below, its snapshots above it, its own changes on top."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.lab.programs import ProgramFailed, run

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

OCTAL = re.compile(r"\\([0-7]{3})")


def mount_points(below: Path) -> tuple[Path, ...]:
    """Return what is mounted at or under ``below``, the newest first."""
    found: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split()[4]))
        if point == below or below in point.parents:
            found.append(point)
    return tuple(reversed(found))


def mount_root(directory: Path, layers: Sequence[Path], top: str) -> Path:
    """Mount a host's root and return where.

    Args:
        directory: The host's directory.
        layers: The read-only layers, the topmost first.
        top: Name of the layer that takes changes, in the directory's ``layers``.
    """
    root, upper, work = directory / "root", directory / "layers" / top, directory / "work" / top
    for part in (root, upper, work):
        part.mkdir(parents=True, exist_ok=True)
    lower = ":".join(map(str, layers))
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "changeover-lab", "-o", options, root)
    return root


def unmount(below: Path) -> None:
    """Unmount everything at or under ``below``; what is still in use is detached."""
    for point in mount_points(below):
        try:
            run("umount", point)
        except ProgramFailed:
            run("umount", "--lazy", point)


def discard(directory: Path) -> None:
    """Unmount all that is mounted in a directory, and only then remove it."""
    unmount(directory)
    if directory.exists():
        shutil.rmtree(directory)


def next_layer(directory: Path) -> str:
    """Return a layer name that a host's directory has not seen yet."""
    used = [int(path.name) for path in (directory / "layers").glob("[0-9]*")]
    return f"{max(used, default=0) + 1:04d}"


def prune(directory: Path, kept: Collection[str]) -> None:
    """Remove the layers of a host that nothing names any more."""
    for kind in ("layers", "work"):
        for layer in (directory / kind).glob("*"):
            if layer.name not in kept:
                shutil.rmtree(layer)
