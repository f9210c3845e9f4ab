"""Keep the disks of all hosts at named states, and return to one in a mount and a boot."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import InvalidInput
from changeover.lab import hosts, lifecycle, overlay
from changeover.lab.processes import is_alive
from changeover.lab.state import load, save

if TYPE_CHECKING:
    from changeover.lab.identity import Identity
    from changeover.lab.programs import Progress
    from changeover.lab.state import HostState, LabState

NAME_SHAPE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class SnapshotUnknown(InvalidInput):
    """The topology has no snapshot of that name."""


class SnapshotNameInvalid(InvalidInput):
    """No name for a snapshot."""


class LabMissing(InvalidInput):
    """There is no lab yet."""


def snapshot(lab: Identity, name: str, progress: Progress) -> None:
    """Keep the disks of all hosts as they are now under a name, and go on.

    Hosts that run are powered off first, so that every service has closed its files, and booted
    again. A snapshot of the same name is replaced.

    Raises:
        LabMissing: The lab was never up.
        SnapshotNameInvalid: The name is unusable, or that of the snapshot every lab has.
    """
    if not NAME_SHAPE.fullmatch(name) or name == lifecycle.FRESH:
        message = f"{name!r} is no name for a snapshot"
        hint = f"use letters, digits, `.`, `_`, `-`; `{lifecycle.FRESH}` is taken"
        raise SnapshotNameInvalid(message, hint=hint)
    with lifecycle.changing(lab):
        state = _state(lab)
        members = _members(lab, state)
        running = [host for host in members if is_alive(host.process)]
        hosts.stop(lab, members)
        for host in members:
            host.layers = (host.top, *host.layers)
            host.top = overlay.next_layer(hosts.directory_of(lab, host.name))
        kept = {host.name: host.layers for host in members}
        state.snapshots.setdefault(state.topology, {})[name] = kept
        _settle(lab, state, members)
        progress(f"kept {counted(len(members), 'host')} as {name}")
        lifecycle.start(lab, state, running, progress)


def reset(lab: Identity, name: str, progress: Progress) -> None:
    """Return the disks of all hosts to a snapshot, and boot them.

    Raises:
        LabMissing: The lab was never up.
        SnapshotUnknown: Its topology has no such snapshot.
    """
    began = time.monotonic()
    with lifecycle.changing(lab):
        state = _state(lab)
        members = _members(lab, state)
        known = state.snapshots.get(state.topology, {})
        kept = known.get(name)
        if kept is None or set(kept) != {host.name for host in members}:
            message = f"there is no snapshot {name!r} of the topology {state.topology}"
            raise SnapshotUnknown(message, hint=f"choose one of: {', '.join(known)}")
        hosts.stop(lab, members, clean=False)
        for host in members:
            host.layers = kept[host.name]
            host.top = overlay.next_layer(hosts.directory_of(lab, host.name))
        save(state, lab.state)
        lifecycle.start(lab, state, members, progress)
        _settle(lab, state, members)
        progress(f"reset to {name} in {time.monotonic() - began:.1f} s")


def _state(lab: Identity) -> LabState:
    state = load(lab.state)
    if state is None or not set(lifecycle.planned_names(lab, state.topology)) <= set(state.hosts):
        raise LabMissing(f"the lab {lab.name} was never up", hint="changeover lab up")
    return state


def _members(lab: Identity, state: LabState) -> list[HostState]:
    return [state.hosts[name] for name in lifecycle.planned_names(lab, state.topology)]


def _settle(lab: Identity, state: LabState, members: list[HostState]) -> None:
    """Save the state; then remove the layers that it does not name any more."""
    save(state, lab.state)
    for host in members:
        named = {host.top, *host.layers}
        for topology in state.snapshots.values():
            for snapshots in topology.values():
                named.update(snapshots.get(host.name, ()))
        overlay.prune(hosts.directory_of(lab, host.name), named)
