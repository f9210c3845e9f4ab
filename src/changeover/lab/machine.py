"""Say whether this machine can hold a lab, and install what it lacks for one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput
from changeover.lab.programs import ProgramFailed, run

if TYPE_CHECKING:
    from changeover.lab.programs import Progress

PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "dpkg-scanpackages": "dpkg-dev",
    "ip": "iproute2",
    "ssh": "openssh-client",
}
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 8192
INSTALL_SECONDS = 300


class LabImpossible(InvalidInput):
    """This machine cannot hold a lab."""


def require(progress: Progress) -> None:
    """Install what the lab lacks; refuse a machine that cannot hold one.

    Raises:
        LabImpossible: It is not Linux, not root, has no apt-get for what is missing, or may not
            make namespaces and overlay mounts.
    """
    require_root()
    missing = sorted({package for program, package in PACKAGES.items() if not _has(program)})
    if missing:
        install(missing, progress)
    try:
        run("unshare", "--mount", "--pid", "--net", "--fork", "true")
    except ProgramFailed as refused:
        message = "The lab cannot run here: this machine does not let root make namespaces."
        hint = (
            "run it on a machine or in a virtual machine of its own, or use --env with real hosts"
        )
        raise LabImpossible(message, hint=hint, cause=refused.cause) from refused
    if "overlay" not in Path("/proc/filesystems").read_text():
        try:
            run("modprobe", "overlay")
        except ProgramFailed as absent:
            message = "The lab cannot run here: the kernel has no overlay file system."
            hint = "use a kernel with overlayfs"
            raise LabImpossible(message, hint=hint, cause=absent.cause) from absent
    raise_inotify_limit()


def require_root() -> None:
    """Refuse a machine or a user with which no lab can be touched at all."""
    if not sys.platform.startswith("linux"):
        message = f"The lab cannot run here: it needs Linux, and this is {sys.platform}."
        raise LabImpossible(
            message, hint="run it on Debian 12 or Ubuntu, or use --env with real hosts"
        )
    if os.geteuid() != 0:
        message = "The lab cannot run here: it starts containers, and for that it must be root."
        raise LabImpossible(message, hint="sudo changeover lab up")


def require_disk(directory: Path) -> None:
    """Refuse a directory that cannot hold the hosts' disks; make it where it is missing.

    Raises:
        LabImpossible: It is on an overlay file system, as in most containers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if run("stat", "--file-system", "--format=%T", directory).strip() == "overlayfs":
        message = f"The lab cannot run here: {directory} is on an overlay, which holds no other."
        hint = "point CHANGEOVER_LAB_STATE and CHANGEOVER_LAB_CACHE to directories on a real disk"
        raise LabImpossible(message, hint=hint)


def install(packages: list[str], progress: Progress) -> None:
    """Install packages on this machine."""
    if not _has("apt-get"):
        message = (
            f"The lab cannot run here: it needs {', '.join(packages)}, and there is no apt-get."
        )
        raise LabImpossible(message, hint="install them by hand, then: changeover lab up")
    progress(f"installing {', '.join(packages)} on this machine")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    words = ("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    try:
        run(*words, seconds=INSTALL_SECONDS, environment=quiet)
    except ProgramFailed:
        run("apt-get", "update", seconds=INSTALL_SECONDS, environment=quiet)
        run(*words, seconds=INSTALL_SECONDS, environment=quiet)


def raise_inotify_limit() -> None:
    """Raise the limit that would hang the boot of the sixth host."""
    if int(INOTIFY.read_text()) < INOTIFY_INSTANCES:
        INOTIFY.write_text(str(INOTIFY_INSTANCES))


def _has(program: str) -> bool:
    return shutil.which(program) is not None
