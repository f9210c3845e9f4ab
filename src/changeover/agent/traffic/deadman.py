"""The dead-man: a timer of systemd's that takes an unconfirmed switch back when nobody speaks up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from changeover.agent import alive
from changeover.agent.colour import units
from changeover.agent.system import durable

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.call import Call

ENTRY = "deadman"
RETRY_SECONDS = 2
# More than all of its own waits together: both colours well, Nginx checked, closed and reloaded.
LONGEST_SECONDS = 300


def unit(app: str, deployment: str) -> str:
    """Return the name that timer and service share."""
    return f"changeover-deadman-{app}-{deployment}"


def request_path(call: Call, deployment: str) -> Path:
    """Return the file that tells the dead-man what it is for."""
    return call.places.state / f"deadman-{deployment}.json"


def arm(call: Call, seconds: float) -> str:
    """Start the timer; one of the same deployment is replaced. Return its unit.

    Raises:
        ActionError: ``deadman-failed``; without one nothing is switched.
    """
    name = unit(call.app.name, call.deployment)
    path = request_path(call, call.deployment)
    durable.write(path, json.dumps({"app": call.app.name, "deployment": call.deployment}).encode())
    call.host.programs.run("systemctl", "stop", f"{name}.timer", f"{name}.service")
    call.host.programs.must(
        "deadman-failed",
        "systemd-run",
        f"--unit={name}",
        f"--on-active={seconds:g}s",
        "--timer-property=AccuracySec=50ms",
        *(f"--property={each}" for each in alive.PROPERTIES),
        f"--property=RuntimeMaxSec={LONGEST_SECONDS}",
        f"--property=RestartSec={RETRY_SECONDS}",
        "--description=Take back a switch that was not confirmed",
        "--collect",
        "--quiet",
        "--",
        call.host.agent,
        ENTRY,
        str(path),
    )
    return name


def armed(call: Call, name: str) -> bool:
    """Tell whether systemd has the timer, or is about to run what it is for."""
    names = [f"{name}.timer", f"{name}.service"]
    return any(not state.ended for state in units.states(call.host, names))


def disarm(call: Call, deployment: str, *, fired: bool = False) -> None:
    """Stop the timer and forget what it was for. The dead-man itself leaves its own service be."""
    name = unit(call.app.name, deployment)
    call.host.programs.run("systemctl", "stop", f"{name}.timer")
    if not fired:
        call.host.programs.run("systemctl", "stop", "--no-block", f"{name}.service")
    forget(call, deployment)


def forget(call: Call, deployment: str) -> None:
    """Remove what tells the dead-man of a deployment what it is for."""
    path = request_path(call, deployment)
    durable.clear(path)
    durable.remove(path)
