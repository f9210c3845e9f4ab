"""End what others still do here: what may be cut at any point is killed, the rest is waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from changeover.agent import running
from changeover.agent.system import filelock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.running import Run

# They are begun anew by whoever wants them, over whatever was left of them.
CUT = {
    *("place", "start", "stop"),
    *("backup_create", "backup_verify", "backup_rehearsal"),
}
LOOK_SECONDS = 0.05


def end(call: Call, given: Parameters) -> Result:
    """End the requests of leases that this one overtook; tell what was ended, awaited, and is left."""
    given.only("seconds")
    deadline = time.monotonic() + given.number("seconds", 30, most=3600)
    number = int((call.fence or {}).get("number") or 0)
    before = [run for run in running.listed(call.places) if run.number < number]
    cut = [run for run in before if run.unit and (run.action in CUT or run.hung)]
    for run in cut:
        call.host.programs.run("systemctl", "kill", "--signal=SIGKILL", "--", run.unit)
    while time.monotonic() < deadline and any(filelock.is_held(run.path) for run in before):
        time.sleep(LOOK_SECONDS)
    left = [run for run in before if filelock.is_held(run.path)]
    return {
        "ended": _shown(run for run in cut if run not in left),
        "awaited": _shown(run for run in before if run not in cut and run not in left),
        "left": _shown(left),
    }


def _shown(runs: Iterable[Run]) -> list[dict[str, object]]:
    return [run.as_shown() for run in runs]
