"""Bring a lab up and down, and keep its disks at known states."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.document import suggestion
from changeover.errors import InvalidInput
from changeover.lab import (
    companions,
    hosts,
    image,
    inventory_files,
    machine,
    mirror,
    network,
    overlay,
)
from changeover.lab.identity import free_subnet
from changeover.lab.locks import exclusive
from changeover.lab.processes import is_alive
from changeover.lab.state import FILE as STATE_FILE
from changeover.lab.state import HostState, LabState, load, save
from changeover.lab.topology import DEFAULT, Topology, read_topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from changeover.lab.identity import Identity
    from changeover.lab.programs import Progress

LOCK_SECONDS = 300
BUILD_LOCK_SECONDS = 900
FRESH = "fresh"


@contextlib.contextmanager
def changing(lab: Identity) -> Iterator[None]:
    """Hold the lab's lock: one command at a time changes it."""
    with exclusive(f"lab-{lab.name}", seconds=LOCK_SECONDS):
        yield


class LabAppUnknown(InvalidInput):
    """The lab has no public name, and so no place, for such an app."""


def up(
    lab: Identity, topology_name: str | None, progress: Progress, apps: Sequence[str] = ()
) -> LabState:
    """Bring up what is missing of a lab: image, mirror, bridge, hosts, inventory, companions.

    Args:
        lab: The lab.
        topology_name: The topology; None for the one that was up last, else ``single``.
        progress: Told what happens, in words.
        apps: The apps that it is to have from now on; none for those that it has.

    Raises:
        LabImpossible: This machine cannot hold a lab.
        LabAppUnknown: It cannot have such an app.
        TopologyUnknown: There is no such topology.
        HostNotReady: A host did not come up in time.
    """
    _require_known(lab, apps)
    machine.require(progress)
    machine.require_disk(lab.state.parent)
    with changing(lab):
        old = load(lab.state)
        topology = read_topology(lab.tracked, topology_name or (old.topology if old else DEFAULT))
        state = _connect(lab, old, topology)
        state.apps = inventory_files.asked_for(lab, apps) if apps else state.apps
        root, packages = _build(lab, progress)
        _prepare(lab, state, topology, root.name)
        wanted = [state.hosts[host.name] for host in topology.hosts]
        hosts.stop(lab, [host for host in state.hosts.values() if host not in wanted])
        _start(lab, state, wanted, packages.name, progress)
        public = inventory_files.make_keys(lab)
        secrets = inventory_files.write_inventory(lab, state, topology, public)
        companions.start(lab, state, secrets["changeover_secrets"], progress)
        return state


def _require_known(lab: Identity, apps: Sequence[str]) -> None:
    known = inventory_files.public_names(lab.tracked)
    for app in apps:
        if app not in known:
            raise LabAppUnknown(
                f"the lab knows no app {app}{suggestion(app, known)}",
                hint=f"name some of: {', '.join(known)}; a new one needs a public name in"
                " inventories/lab/group_vars/all/main.yml",
            )


def _build(lab: Identity, progress: Progress) -> tuple[Path, Path]:
    """Return the image and the package mirror, built where the cache lacks them."""
    lab.cache.mkdir(parents=True, exist_ok=True)
    with exclusive("lab-cache", seconds=BUILD_LOCK_SECONDS):
        installed = image.read_packages(lab.tracked / "image.txt")
        root = image.build_image(lab.cache, installed, progress)
        offered = image.read_packages(lab.tracked / "packages.txt")
        return root, mirror.build_mirror(lab.cache, root, offered, progress)


def _connect(lab: Identity, old: LabState | None, topology: Topology) -> LabState:
    """Return the lab's state, a new one with a free subnet, and make its bridge."""
    with exclusive("lab-network", seconds=LOCK_SECONDS):
        state = old or LabState(
            name=lab.name,
            checkout=str(lab.checkout),
            subnet=str(free_subnet(lab.digest, _taken(lab))),
            topology=topology.name,
        )
        state.topology = topology.name
        save(state, lab.state)
        if network.make_bridge(lab.bridge, IPv4Network(state.subnet)):
            # a host that runs without the bridge that it was attached to is out of reach for good
            hosts.stop(lab, state.hosts.values())
    return state


def _prepare(lab: Identity, state: LabState, topology: Topology, root: str) -> None:
    """Make the disks of those hosts of the topology that have none; note all in the state."""
    subnet = IPv4Network(state.subnet)
    admin = inventory_files.make_keys(lab)["admin"]
    for planned in topology.hosts:
        known = state.hosts.get(planned.name)
        if known is not None and (lab.cache / known.image).is_dir():
            known.groups = planned.groups
            continue
        if known is not None:
            hosts.stop(lab, [known])
        overlay.discard(hosts.directory_of(lab, planned.name))
        host = HostState(
            name=planned.name,
            address=str(subnet[planned.number]),
            groups=planned.groups,
            layers=(hosts.SEED,),
            image=root,
        )
        hosts.seed(lab, host, admin)
        _forget_snapshots(state, host)
        state.hosts[planned.name] = host
    hosts.write_known_hosts(lab, state.hosts)
    save(state, lab.state)


def _forget_snapshots(state: LabState, host: HostState) -> None:
    """Drop the snapshots a host has no layers of any more; note the one that it begins with."""
    for snapshots in state.snapshots.values():
        for name in [name for name, kept in snapshots.items() if host.name in kept]:
            if name != FRESH:
                del snapshots[name]
    snapshots = state.snapshots.setdefault(state.topology, {})
    snapshots.setdefault(FRESH, {})[host.name] = host.layers


def _taken(lab: Identity) -> tuple[IPv4Network, ...]:
    """Return the networks in use on this machine, those of other labs that are down included."""
    others = []
    if lab.state.parent.is_dir():
        for directory in lab.state.parent.iterdir():
            other = load(directory) if directory != lab.state else None
            if other is not None:
                others.append(IPv4Network(other.subnet))
    return (*network.taken_networks(besides=lab.bridge), *others)


def start(
    lab: Identity, state: LabState, starting: Sequence[HostState], progress: Progress
) -> None:
    """Boot hosts that do not run with the package mirror that they had, and wait for all.

    The caller holds the lab's lock, and the lab's bridge is there.
    """
    network.make_bridge(lab.bridge, IPv4Network(state.subnet))
    network.remove_links(tuple(lab.machine(host.name) for host in starting))
    for host in starting:
        hosts.boot(lab, host, lab.cache / host.mirror)
        save(state, lab.state)
    if not starting:
        return
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(starting)) as pool:
        verdicts = list(pool.map(lambda host: hosts.wait_until_ready(lab, host), starting))
    for host, verdict in zip(starting, verdicts, strict=True):
        progress(f"{host.name} at {host.address} is {verdict}")
    progress(f"{counted(len(starting), 'host')} ready after {time.monotonic() - began:.1f} s")


def planned_names(lab: Identity, topology: str) -> tuple[str, ...]:
    """Return the names of a topology's hosts."""
    return tuple(host.name for host in read_topology(lab.tracked, topology).hosts)


def _start(
    lab: Identity,
    state: LabState,
    wanted: Iterable[HostState],
    mirror_name: str,
    progress: Progress,
) -> None:
    """Boot the wanted hosts that do not run, or that run with another package mirror."""
    starting = [host for host in wanted if not is_alive(host.process) or host.mirror != mirror_name]
    hosts.stop(lab, starting)
    for host in starting:
        host.mirror = mirror_name
    start(lab, state, starting, progress)


def down(
    lab: Identity, progress: Progress, *, purge: bool = False, keep_cache: bool = False
) -> None:
    """End everything of the lab that runs; with ``purge``, remove all that it ever made.

    Args:
        lab: The lab.
        progress: Told what happens, in words.
        purge: Remove disks, keys, secrets and the generated inventory, too, and the cache of
            images and packages if no other lab is left that uses it.
        keep_cache: With ``purge``, leave that cache to the next lab all the same.
    """
    machine.require_root()
    with changing(lab):
        state = load(lab.state)
        if state is not None:
            running = [host for host in state.hosts.values() if is_alive(host.process)]
            companions.stop(state)
            hosts.stop(lab, state.hosts.values())
            progress(f"ended {counted(len(running), 'host')}")
            save(state, lab.state)
        overlay.unmount(lab.state)
        network.remove_bridge(lab.bridge)
        if purge:
            _purge(lab, progress, keep_cache=keep_cache)


def _purge(lab: Identity, progress: Progress, *, keep_cache: bool) -> None:
    """Remove the lab's directory and inventory, and the cache when this was the last lab."""
    overlay.discard(lab.state)
    if not lab.shared:
        for name in inventory_files.GENERATED:
            (lab.inventory / name).unlink(missing_ok=True)
    with exclusive("lab-cache", seconds=LOCK_SECONDS):
        others = list(lab.state.parent.glob(f"*/{STATE_FILE}"))
        if not others and not keep_cache:
            overlay.discard(lab.cache)
    with contextlib.suppress(OSError):
        lab.state.parent.rmdir()
    progress(
        "purged" + (f"; images stay for {counted(len(others), 'other lab')}" if others else "")
    )
