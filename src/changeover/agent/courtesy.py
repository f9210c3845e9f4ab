"""Give way to users: what takes the host's processors and disks and hurries nobody runs at low priority.

The programs that the agent starts inherit it: the dump and its compression, the restore that proves it,
the unpacking of a bundle. What users wait for is never among it, nor what systemd starts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from changeover.agent.protocol import Request
    from changeover.agent.system.program import Programs

# A third of the share of others where all want more: users feel little of it, and a backup on a host that
# is busy all day still ends while the lease is held.
NICENESS = 5
PATIENT = frozenset(
    {
        "place",
        *("backup_create", "backup_attach", "backup_verify", "backup_list", "backup_diff"),
        *("backup_price", "backup_retain", "backup_physical", "backup_check", "backup_drill"),
        *("backup_rehearsal", "backup_rehearsed", "backup_rehearsal_end"),
    }
)


def patient(request: Request) -> bool:
    """Tell whether nothing of a request is waited for by users."""
    return all(action.name in PATIENT for action in request.actions)


def step_back(programs: Programs) -> None:
    """Have this process, and what it starts, take what others leave of processors and disks."""
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    try:
        programs.run("ionice", "-c", "2", "-n", "7", "-p", str(os.getpid()))
    except ActionError:
        return  # a host without it has disks that are shared alike
