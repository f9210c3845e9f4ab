"""A colour's systemd units: installed, started, watched, stopped, brought back by a boot."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent.colour import manifest, masking, unit_text
from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from changeover.agent.call import Call
    from changeover.agent.colour.manifest import Manifest
    from changeover.agent.host import Host
    from changeover.agent.places import Places

BOOT_TARGET = "multi-user.target.wants"
POLL_SECONDS = 0.05
TAIL_LINES = 40
PROPERTIES = "Id,ActiveState,SubState,Result,NRestarts,NeedDaemonReload,ExecMainStatus"
ENDED = {"inactive", "failed"}


@dataclass(frozen=True, slots=True)
class State:
    """What systemd says of one unit."""

    name: str
    active: str
    sub: str
    result: str
    restarts: int
    outdated: bool
    exit_status: str

    @property
    def running(self) -> bool:
        """Tell whether it is up."""
        return self.active == "active"

    @property
    def ended(self) -> bool:
        """Tell whether nothing of it runs any more."""
        return self.active in ENDED

    @property
    def killed(self) -> bool:
        """Tell whether systemd kills it, as it does past the unit's own deadline."""
        return self.sub.endswith("sigkill")


def names_of(places: Places, release: Manifest, colour: str) -> list[str]:
    """Return the unit names of a colour."""
    return [places.unit_name(process.name, colour) for process in release.processes]


def install(call: Call, release: Manifest, source: Path, colour: str) -> bool:
    """Write the colour's unit files from the unpacked bundle; tell whether one is new.

    Raises:
        ActionError: ``unit-refused``, before anything is written.
    """
    texts: dict[Path, bytes] = {}
    for process in release.processes:
        text = (source / process.unit).read_text(encoding="utf-8")
        unit_text.check(text, call.app, process.name)
        _own_name(call, process.name)
        texts[call.places.unit(process.name, colour)] = text.encode()
    fresh = False
    for path, content in texts.items():
        if not path.is_file() or path.read_bytes() != content:
            durable.write(path, content, durable.PUBLIC)
            fresh = True
    return fresh


def _own_name(call: Call, process: str) -> None:
    # App "shop" with a process "api-web" would write the units of app "shop-api".
    unit = f"{call.app.name}-{process}"
    if not _owned(call, unit):
        raise ActionError("unit-refused", f"{unit} would be a unit of another app")


def _owned(call: Call, unit: str) -> bool:
    mine = call.app.name
    return not any(
        len(other) > len(mine) and unit.startswith(f"{other}-") for other in call.host.apps
    )


def remove(call: Call, colour: str) -> bool:
    """Remove a colour's unit files; tell whether there were any."""
    pattern = f"{call.app.name}-*@{colour}.service"
    directories = (call.places.units / BOOT_TARGET, call.places.units)
    paths = [path for directory in directories for path in directory.glob(pattern)]
    removed = [durable.remove(path) for path in paths if _owned(call, path.name)]
    return any(removed)


def want_at_boot(call: Call, units: Iterable[str]) -> None:
    """Have a boot start these units."""
    directory = call.places.units / BOOT_TARGET
    durable.ensure_directory(directory)
    for unit in units:
        if durable.read_link(directory / unit) != f"../{unit}":
            durable.link(directory / unit, f"../{unit}")


def unwant_others(call: Call, units: Sequence[str]) -> None:
    """Have a boot start no other colour of the app."""
    directory = call.places.units / BOOT_TARGET
    for path in directory.glob(f"{call.app.name}-*@*.service"):
        if path.name not in units and _owned(call, path.name):
            durable.remove(path)


def unwant(call: Call, units: Iterable[str]) -> None:
    """Have a boot leave these units alone."""
    for unit in units:
        durable.remove(call.places.units / BOOT_TARGET / unit)


def reload(host: Host) -> None:
    """Have systemd read the unit files again."""
    host.programs.must("systemd-failed", "systemctl", "daemon-reload", seconds=60)


def states(host: Host, units: Sequence[str]) -> list[State]:
    """Ask systemd once for the states of units."""
    if not units:
        return []
    said = host.programs.must(
        "systemd-failed", "systemctl", "show", f"--property={PROPERTIES}", "--", *units
    )
    blocks = [block for block in said.strip().split("\n\n") if block.strip()]
    return [_state(block) for block in blocks]


def _state(block: str) -> State:
    fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    return State(
        name=fields.get("Id", ""),
        active=fields.get("ActiveState", "unknown"),
        sub=fields.get("SubState", ""),
        result=fields.get("Result", ""),
        restarts=int(fields.get("NRestarts") or 0),
        outdated=fields.get("NeedDaemonReload") == "yes",
        exit_status=fields.get("ExecMainStatus", ""),
    )


def running(host: Host, units: Sequence[str]) -> bool:
    """Tell whether all of the units are up."""
    found = states(host, units)
    return bool(found) and all(state.running for state in found)


def begin(host: Host, units: Sequence[str]) -> None:
    """Ask systemd to start units, without waiting, with their start limits forgotten."""
    if any(state.outdated for state in states(host, units)):
        reload(host)
    host.programs.run("systemctl", "reset-failed", "--", *units)
    host.programs.must("unit-failed", "systemctl", "start", "--no-block", "--", *units)


def stop(
    host: Host, units: Sequence[str], seconds: float, meanwhile: Callable[[], None] | None = None
) -> bool:
    """Stop units and wait; past the deadline they are killed. Tell whether that was needed.

    Args:
        host: This host.
        units: Their names.
        seconds: How long they may take.
        meanwhile: Called at each look before they are killed, by whomever; may raise to end the wait.

    Raises:
        ActionError: ``stop-failed``; something still runs.
    """
    host.programs.must("stop-failed", "systemctl", "stop", "--no-block", "--", *units)
    if _gone(host, units, seconds, meanwhile):
        return False
    host.programs.run("systemctl", "kill", "--signal=SIGKILL", "--", *units)
    if not _gone(host, units, 10):
        left = [state.name for state in states(host, units) if not state.ended]
        raise ActionError("stop-failed", f"{', '.join(left)} cannot be stopped")
    return True


def _gone(
    host: Host, units: Sequence[str], seconds: float, meanwhile: Callable[[], None] | None = None
) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        found = states(host, units)
        if all(state.ended for state in found):
            return True
        if time.monotonic() >= deadline:
            return False
        if meanwhile and not any(state.killed for state in found):
            meanwhile()
        time.sleep(POLL_SECONDS)


def log_tail(call: Call, units: Sequence[str], colour: str, lines: int = TAIL_LINES) -> str:
    """Return the last lines that units logged, with the environment's values masked."""
    chosen = [argument for unit in units for argument in ("--unit", unit)]
    call.host.programs.run("journalctl", "--sync", seconds=10)
    finished = call.host.programs.run(
        "journalctl", *chosen, "--no-pager", "--quiet", f"--lines={lines}", "--output=short-iso"
    )
    text = finished.output.strip() or finished.errors.strip()
    return masking.mask(call.places.environment(colour), text)


def colours(places: Places) -> list[str]:
    """Return the placed colours, in the order of their names."""
    try:
        entries = sorted(os.scandir(places.releases), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    return [
        entry.name
        for entry in entries
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    ]


def of(call: Call, colour: str) -> list[str]:
    """Return the unit names of a placed colour.

    Raises:
        ActionError: ``not-placed``.
    """
    release = manifest.read(call.places.release(colour))
    return names_of(call.places, release, colour)
