"""The transient unit in which an app's own migrator runs: one an app, on its own, for so long."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent import names
from changeover.agent.colour import environment_file, units
from changeover.agent.failure import ActionError
from changeover.agent.system import durable
from changeover.agent.system.confinement import CONFINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from changeover.agent.call import Call

STOP_SECONDS = 30
# A user of its own, made for the run: the app's processes are another user's, and read nothing of it.
PROPERTIES = (
    *CONFINED,
    # What it ended with is to be seen by whoever looks next.
    "RemainAfterExit=yes",
    "DynamicUser=yes",
    f"TimeoutStopSec={STOP_SECONDS}",
    "LimitNOFILE=65536",
    "TasksMax=512",
    "CapabilityBoundingSet=",
    "KeyringMode=private",
    "InaccessiblePaths=-/etc/changeover -/var/lib/changeover -/var/backups -/run/changeover",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallFilter=~@privileged @resources",
    "Environment=HOME=/tmp",
)


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: its exit code, or why it has none."""

    exit: int | None
    result: str


def name(app: str) -> str:
    """Return the unit's name; there is one an app, so that only one can run."""
    return f"changeover-migrator-{app}.service"


def raw_output(call: Call) -> Path:
    """Return the file in memory that it prints to; only root may read it."""
    return call.places.secrets / "migrator.output"


def begin(
    call: Call, colour: str, words: Sequence[str], values: Mapping[str, str], seconds: float
) -> None:
    """Start it with these values, which are gone from the disk and from memory files once it runs.

    Raises:
        ActionError: ``migrator-not-started``, with what systemd says.
    """
    code = call.places.release(colour) / "code"
    environment, raw = call.places.secrets / "migrator.env", raw_output(call)
    durable.ensure_directory(call.places.secrets, 0o700)
    raw.unlink(missing_ok=True)
    os.close(os.open(raw, os.O_WRONLY | os.O_CREAT | os.O_EXCL, durable.PRIVATE))
    own = {"RELEASE_VERSION": names.version_of(colour), "RELEASE_COLOUR": colour}
    durable.write(environment, environment_file.render({**values, **own}).encode())
    first = str(code / words[0]) if "/" in words[0] and words[0][0] != "/" else words[0]
    try:
        call.host.programs.must(
            "migrator-not-started",
            "systemd-run",
            f"--unit={name(call.app.name)}",
            "--quiet",
            "--no-ask-password",
            f"--description=The migrator of {call.app.name} {colour}",
            *(f"--property={each}" for each in PROPERTIES),
            f"--property=RuntimeMaxSec={seconds:g}",
            f"--property=WorkingDirectory={code}",
            f"--property=EnvironmentFile={environment}",
            f"--property=StandardOutput=append:{raw}",
            f"--property=StandardError=append:{raw}",
            "--",
            first,
            *words[1:],
        )
    finally:
        durable.clear(environment)
        environment.unlink(missing_ok=True)


def present(call: Call) -> bool:
    """Tell whether it runs, or has ended and was not looked at yet."""
    (state,) = units.states(call.host, [name(call.app.name)])
    return state.active != "inactive"


def ended(call: Call) -> End | None:
    """Return how it ended; ``None`` while it runs."""
    (state,) = units.states(call.host, [name(call.app.name)])
    if state.sub == "exited":
        return End(0, "success")
    if state.active == "inactive":
        return End(None, "stopped")
    if state.active != "failed":
        return None
    return End(int(state.exit_status) if state.result == "exit-code" else None, state.result)


def reap(call: Call) -> None:
    """Let systemd forget it, and remove what it printed.

    Raises:
        ActionError: ``migrator-not-forgotten``; systemd still knows it.
    """
    unit = name(call.app.name)
    stopped = call.host.programs.run("systemctl", "stop", unit)
    call.host.programs.run("systemctl", "reset-failed", unit)
    if present(call):
        raise ActionError(
            "migrator-not-forgotten",
            f"the migrator of {call.app.name} has ended, and its unit cannot be stopped",
            cause=stopped.errors.strip(),
        )
    raw_output(call).unlink(missing_ok=True)


def end(call: Call) -> bool:
    """End it; tell whether it ran. Whoever follows its output sees it end."""
    unit = name(call.app.name)
    if ended(call) is not None:
        return False
    try:
        units.stop(call.host, [unit], STOP_SECONDS)
    except ActionError as error:
        raise ActionError(
            "migrator-runs-on",
            f"the migrator of {call.app.name} cannot be ended",
            cause=error.message,
        ) from error
    return True
