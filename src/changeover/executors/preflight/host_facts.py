"""What a host says of itself, as one JSON object: runs on the host, as the deploy user.

Its text is sent to ``python3 -I -c``, so it uses the standard library alone and needs no privilege.
The one argument is a JSON object with the certificate files to read and the directories, by what they are
for, whose free space is asked. Whatever cannot be found out is ``null``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PORTS = (80, 443)
LISTENING = "0A"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def output(*words: str) -> str:
    """Return what a program prints, or an empty text."""
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    try:
        ran = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.decode("utf-8", "replace")


def content(path: str | Path) -> str:
    """Return a file's text, or an empty one."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def version(text: str) -> str | None:
    """Return the first version number in a text, or nothing."""
    found = VERSION.search(text)
    return found.group() if found else None


def npm() -> str | None:
    """Return npm's version from its own file: starting npm costs half a second."""
    for directory in ("/usr/share/nodejs", "/usr/lib/node_modules", "/usr/local/lib/node_modules"):
        text = content(f"{directory}/npm/package.json")
        if text:
            return str(json.loads(text)["version"])
    return version(output("npm", "--version"))


def interpreters() -> list[str]:
    """Return the versions of Python that are installed beside each other."""
    names = (path.name for path in Path("/usr/bin").glob("python3.*"))
    return sorted(name[6:] for name in names if re.fullmatch(r"python3\.\d+", name))


def postgresql() -> list[str]:
    """Return the versions of the clusters on this host; of the installed servers if it has none."""
    majors = {path.name for path in Path("/etc/postgresql").glob("[0-9]*")}
    programs = list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    chosen = [program for program in programs if program.parts[4] in majors] or programs
    return sorted(filter(None, (version(output(str(path), "-V")) for path in chosen)))


def memory() -> int | None:
    """Return the bytes of memory that this host may use."""
    total = re.search(r"MemTotal:\s+(\d+) kB", content("/proc/meminfo"))
    limits = [int(total.group(1)) * 1024] if total else []
    limit = content(CONTROL_GROUPS / "memory.max").strip()
    if limit.isdigit():
        limits.append(int(limit))
    return min(limits) if limits else None


def disk(purpose: str, directory: str) -> dict[str, Any]:
    """Return the bytes that are free where a directory is, or will be, and which file system that is."""
    path = Path(directory)
    while True:
        try:
            found, device = os.statvfs(path), path.stat().st_dev
            break
        except OSError:
            path = path.parent
    free = found.f_bavail * found.f_frsize
    return {"purpose": purpose, "path": directory, "free_bytes": free, "device": device}


def database_directory() -> str:
    """Return where the cluster of this host keeps its data, as its configuration says."""
    for file in sorted(Path("/etc/postgresql").glob("[0-9]*/*/postgresql.conf")):
        said = re.search(r"^\s*data_directory\s*=\s*'([^']+)'", content(file), re.MULTILINE)
        if said:
            return said.group(1)
    return "/var/lib/postgresql"


def listeners() -> list[dict[str, Any]]:
    """Return who listens on the web's ports: port, user id and, where it shows, the unit."""
    found = []
    units = owners()
    for family in ("tcp", "tcp6"):
        for line in content(f"/proc/net/{family}").splitlines()[1:]:
            _, local, _, state, _, _, _, user, *_ = line.split()
            port = int(local.rpartition(":")[2], 16)
            if state == LISTENING and port in PORTS:
                found.append({"port": port, "uid": int(user), "unit": units.get(port)})
    return found


def owners() -> dict[int, str]:
    """Return the unit behind each listening port, by the control group of its socket."""
    found = {}
    for line in output("ss", "-Htlne", "--cgroup").splitlines():
        match = re.match(r"\S+\s+\d+\s+\d+\s+\S+:(\d+)\s.*\bcgroup:(\S+)", line)
        unit = unit_of(match.group(2)) if match else None
        if match and unit:
            found[int(match.group(1))] = unit
    return found


def unit_of(group: str) -> str | None:
    """Return the unit of a control group; where ss may not see its path, it gives the inode."""
    unreachable = re.match(r"unreachable:([0-9a-f]+)", group)
    if not unreachable:
        return Path(group).name or None
    wanted = int(unreachable.group(1), 16)
    for path in CONTROL_GROUPS.rglob("*.service"):
        if path.stat().st_ino == wanted:
            return path.name
    return None


def failed_units() -> list[str]:
    """Return the units that systemd calls failed."""
    lines = output("systemctl", "--failed", "--plain", "--no-legend", "--no-pager").splitlines()
    return [line.split()[0] for line in lines if line.split()]


def facts(certificates: list[str], directories: dict[str, str]) -> dict[str, Any]:
    """Return everything that preflight asks."""
    places = {**directories, "database": database_directory()}
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', content("/etc/os-release"), re.MULTILINE)
    return {
        "versions": {
            "node": version(output("node", "--version")),
            "npm": npm(),
            "python": platform.python_version(),
            "redis": version(output("redis-server", "--version")),
            "nginx": version(output("nginx", "-v").partition("/")[2]),
        },
        "interpreters": interpreters(),
        "machine": platform.machine(),
        "postgresql": postgresql(),
        "memory_bytes": memory(),
        "disks": [disk(purpose, path) for purpose, path in places.items()],
        "listeners": listeners(),
        "failed_units": failed_units(),
        "certificates": {path: content(path) or None for path in certificates},
        "system": name.group(1) if name else None,
        "clock": time.time(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts(**json.loads(sys.argv[1]))) + "\n")
