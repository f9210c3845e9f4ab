"""Mount a host's root: an image below, its snapshots above it, its own changes on top."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.lab.programs import ProgramFailed, run

if TYPE_CHECKING:
    from collections.abc import Sequence

OCTAL = re.compile(r"\\([0-7]{3})")


def mount_points(below: Path) -> tuple[Path, ...]:
    """Return what is mounted at or under ``below``, the newest first."""
    found: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split()[4]))
        if point == below or below in point.parents:
            found.append(point)
    return tuple(reversed(found))


def mount_root(directory: Path, layers: Sequence[Path]) -> Path:
    """Mount a host's root and return where.

    Args:
        directory: The host's directory; ``upper`` and ``work`` in it take what the host changes.
        layers: The read-only layers, the topmost first.
    """
    root = directory / "root"
    for part in ("upper", "work", "root"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    lower = ":".join(map(str, layers))
    options = f"lowerdir={lower},upperdir={directory / 'upper'},workdir={directory / 'work'}"
    run("mount", "-t", "overlay", "changeover-lab", "-o", options, root)
    return root


def unmount(below: Path) -> None:
    """Unmount everything at or under ``below``; what is still in use is detached."""
    for point in mount_points(below):
        try:
            run("umount", point)
        except ProgramFailed:
            run("umount", "--lazy", point)


def clear_upper(directory: Path) -> None:
    """Throw away what a host changed since its topmost layer; its root must not be mounted."""
    for part in ("upper", "work"):
        shutil.rmtree(directory / part, ignore_errors=True)


def seal_upper(directory: Path, layer: Path) -> None:
    """Make what a host changed into a layer; its root must not be mounted."""
    layer.parent.mkdir(parents=True, exist_ok=True)
    (directory / "upper").rename(layer)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory / "work")
