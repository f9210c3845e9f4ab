"""Hold the room on every file system that a deployment writes to against what it will write. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors.preflight.findings import Finding
from changeover.release.figures import size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.executors.preflight.facts import Disk, Server
    from changeover.release.model import Requirements

WRITTEN_BY = {"app": ("releases", "uploads"), "db": ("backups", "database")}
# What the agent asks for before it begins: a dump is at most as large as the database, and a restore beside it
# needs some more for indexes and sorting.
SHARES = {"backups": 1.0, "database": 1.2}
# What the agent leaves free beside the log of the server, which passes its limit a little.
LOG_RESERVE = 128 << 20
# The clone that migrations are rehearsed on, beside the restored one.
REHEARSAL = {"database": 1.0}


def directories(app: str) -> dict[str, str]:
    """Return where a deployment of an app writes, by what for; the database's place is the host's to know."""
    return {
        "releases": f"/opt/{app}/releases",
        "uploads": "/var/lib/changeover/incoming",
        "backups": f"/var/backups/changeover/{app}",
    }


def disks(
    host: str,
    groups: Sequence[str],
    found: Sequence[Disk],
    requires: Requirements,
    server: Server | None,
) -> Iterator[Finding]:
    """Yield a finding for each file system that a deployment writes to on this host.

    The release's own figures hold for each of them. Where backups and the database lie, the measured size of the
    database counts as well: it is dumped, restored beside the live one, and cloned once more where
    migrations are rehearsed.
    """
    used = {purpose for group, names in WRITTEN_BY.items() if group in groups for purpose in names}
    systems: dict[int, list[Disk]] = {}
    for disk in found:
        if disk.purpose in used:
            systems.setdefault(disk.device, []).append(disk)
    for places in systems.values():
        yield from _finding(host, places, requires, server)


def _finding(
    host: str, places: Sequence[Disk], requires: Requirements, server: Server | None
) -> Iterator[Finding]:
    database = 0 if server is None else server.size_bytes
    least, better = requires.minimum.disk, requires.recommended.disk
    minimum = 0 if least is None else size_bytes(least)
    copies = int(database * sum(_share(place.purpose, server) for place in places))
    needed, free = max(minimum, copies), places[0].free_bytes
    if not needed and better is None:
        return
    where = ", ".join(place.path for place in places)
    why = f" for copies of the database ({_size(database)})" if copies > minimum else ""
    red = warn = None
    enough = f", {_size(needed)} is needed{why}"
    if free < needed:
        red = (
            f"at least {_size(needed)} is needed{why}",
            f"free or add disk on {host}, then run this again",
        )
    if better is not None and free < size_bytes(better):
        warn = f"{_size(size_bytes(better))} is recommended", f"plan for more disk on {host}"
    log = 0 if server is None else _log_bytes(places, server)
    if log and needed <= free < needed + log:
        warn = (
            f"{_size(needed + log)} is needed where the log of the server comes to {_size(log)}",
            f"free or add disk on {host}",
        )
    has = f"disk: {_size(free)} free under {where}"
    yield Finding.ranked("disk", host, has if red or warn else has + enough, red=red, warn=warn)


def _log_bytes(places: Sequence[Disk], server: Server) -> int:
    """Return what the agent leaves to the log of the server, where that lies with its data."""
    there = any(place.purpose == "database" for place in places)
    return server.log_bytes + LOG_RESERVE if there and server.log_bytes else 0


def _share(purpose: str, server: Server | None) -> float:
    clone = REHEARSAL.get(purpose, 0) if server is not None and server.migrates else 0
    return SHARES.get(purpose, 0) + clone


def _size(count: int) -> str:
    return f"{count / 10**9:.1f} GB" if count >= 10**8 else f"{count / 10**6:.1f} MB"
