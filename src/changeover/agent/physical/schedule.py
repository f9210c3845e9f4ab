"""How often physical backups are to be taken, by what provision set up."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
from itertools import pairwise

ELAPSES = re.compile(r"(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ ([0-9-]+ [0-9:]+) UTC")
# Of a schedule that goes by weekdays two weeks, by hours half a day.
LOOKED_AT = 16
DEADLINE_SECONDS = 10.0


def longest_seconds(schedules: list[str]) -> float | None:
    """Return the longest time from one backup to the next; ``None`` where that cannot be told.

    That is where none are scheduled, or by words that systemd does not read: with those their timer
    does not start, either, which provision tells.

    Args:
        schedules: As systemd writes them; a backup is taken by each.
    """
    if not schedules:
        return None
    command = ["systemd-analyze", "calendar", f"--iterations={LOOKED_AT}", "--", *schedules]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=DEADLINE_SECONDS,
    )
    each = [
        sorted(dt.datetime.fromisoformat(found) for found in ELAPSES.findall(block))
        for block in done.stdout.split("\n\n")
        if block.strip()
    ]
    if done.returncode or not each or not all(each):
        return None
    # beyond the end of the shortest list nothing is known of it
    end = min(times[-1] for times in each)
    moments = sorted({moment for times in each for moment in times if moment <= end})
    if len(moments) == 1:
        return None
    return max((later - earlier).total_seconds() for earlier, later in pairwise(moments))
