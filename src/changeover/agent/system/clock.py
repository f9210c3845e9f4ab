"""This system's clocks: the wall's, which may step, and the time since this boot, which may not."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FIRST_PROCESS = Path("/proc/1/stat")
START_FIELD = 19  # of what follows the program's name in /proc/1/stat: its start, in clock ticks


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant by both clocks.

    Args:
        wall: Seconds since 1970.
        boot: The boot's identifier.
        uptime: Seconds since this system booted.
    """

    wall: float
    boot: str
    uptime: float


def now() -> Moment:
    """Read both clocks."""
    return Moment(
        wall=time.time(),
        boot=BOOT_ID.read_text(encoding="ascii").strip(),
        uptime=time.clock_gettime(time.CLOCK_BOOTTIME) - _first_process_start(),
    )


def _first_process_start() -> float:
    # In a container the clock is the outer system's; the first process began with this one.
    stat = FIRST_PROCESS.read_text(encoding="utf-8", errors="replace")
    fields = stat.rpartition(")")[2].split()
    return int(fields[START_FIELD]) / os.sysconf("SC_CLK_TCK")


def elapsed(since: Moment, until: Moment) -> float:
    """Return how many seconds passed, at the least, between two moments of one host.

    Within a boot the steady clock decides, so that a stepped wall clock neither ends a lease early
    nor keeps it. Across a reboot the wall clock does, and never less than the time since the boot.
    """
    if since.boot == until.boot:
        return until.uptime - since.uptime
    return max(until.wall - since.wall, until.uptime)


def stamp(wall: float | None = None) -> str:
    """Return a moment as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(time.time() if wall is None else wall, UTC)
    return moment.isoformat(timespec="milliseconds")
