"""Give each host a control group of its own where no systemd outside does.

Without it the hosts would share one tree of groups: stopping a service on one host would wait for
the processes of the same service on another.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

REMOVAL_SECONDS = 5.0


def systemd_runs() -> bool:
    """Tell whether systemd manages this machine, and with it its control groups."""
    return Path("/run/systemd/system").is_dir()


def group_directories(machine: str, mounts: str | None = None) -> tuple[Path, ...]:
    """Return a machine's directories in the hierarchies that systemd uses (none made yet).

    Args:
        machine: The machine's name.
        mounts: The text of ``/proc/mounts``; read from there when None.
    """
    if mounts is None:
        mounts = "" if systemd_runs() else Path("/proc/mounts").read_text()
    found: list[Path] = []
    for line in mounts.splitlines():
        _, directory, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(directory) / f"changeover-{machine}")
    return tuple(found)


def make_groups(machine: str) -> tuple[Path, ...]:
    """Make and return a machine's control groups."""
    directories = group_directories(machine)
    for directory in directories:
        directory.mkdir(exist_ok=True)
    return directories


def remove_groups(machine: str) -> None:
    """Kill what is left in a machine's control groups and remove them."""
    for directory in group_directories(machine):
        if not directory.is_dir():
            continue
        with contextlib.suppress(OSError):
            (directory / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + REMOVAL_SECONDS
        while not _removed(directory) and time.monotonic() < deadline:
            time.sleep(0.05)


def _removed(directory: Path) -> bool:
    """Remove a tree of empty groups, the deepest first; tell whether all of it is gone."""
    below = [path for path in directory.rglob("*") if path.is_dir()]
    for path in (*sorted(below, key=lambda path: len(path.parts), reverse=True), directory):
        with contextlib.suppress(OSError):
            path.rmdir()
    return not directory.exists()
