"""A unit of systemd's for each request that changes something: named, listed, ended as a whole.

The process that acts is put into a scope of its own. So it, and every program that it runs, outlives
the session that brought the request, whatever logind or a restart of sshd ends; and
``systemctl list-units 'changeover-*'`` shows it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError
from changeover.agent.system import bus

if TYPE_CHECKING:
    from changeover.agent.host import Host
    from changeover.agent.protocol import Request

GROUPS = Path("/proc/self/cgroup")
MOVED_SECONDS = 5.0
LOOK_SECONDS = 0.001
# Who ends it by hand waits for what it has begun, and no longer than this until it is killed.
STOP_SECONDS = 30
MICROSECONDS = 1_000_000


def name(request: Request, process: int) -> str:
    """Return the unit of a request that a process does."""
    return f"changeover-{request.app}-{request.deployment}-{process}.scope"


def enter(host: Host, unit: str, says: str) -> None:
    """Have systemd put this process into a unit of its own, and wait until it is there.

    Args:
        host: This host.
        unit: The unit's name.
        says: What it is, for people.

    Raises:
        ActionError: ``systemd-failed``; the process is where it was.
    """
    bus.call(host.root, "StartTransientUnit", "ssa(sv)a(sa(sv))", _asked(unit, says))
    deadline = time.monotonic() + MOVED_SECONDS
    while unit not in GROUPS.read_text(encoding="utf-8"):
        if time.monotonic() >= deadline:
            raise ActionError("systemd-failed", f"systemd has not put this process into {unit}")
        time.sleep(LOOK_SECONDS)


def _asked(unit: str, says: str) -> bus.Body:
    body = bus.Body()

    def processes() -> None:
        body.number(os.getpid())

    def properties() -> None:
        for key, value in (("Description", says), ("CollectMode", "inactive-or-failed")):
            body.align(8).text(key).kind("s").text(value)
        body.align(8).text("TimeoutStopUSec").kind("t").long(STOP_SECONDS * MICROSECONDS)
        body.align(8).text("PIDs").kind("au").array(4, processes)

    return body.text(unit).text("fail").array(8, properties).array(8, lambda: None)
