"""Bring a lab up and down, and keep its disks at known states."""

from __future__ import annotations

import contextlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

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
from changeover.lab.state import HostState, LabState, load, save
from changeover.lab.topology import DEFAULT, Topology, read_topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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


def up(lab: Identity, topology_name: str | None, progress: Progress) -> LabState:
    """Bring up what is missing of a lab: image, mirror, bridge, hosts, inventory, companions.

    Args:
        lab: The lab.
        topology_name: The topology; None for the one that was up last, else ``single``.
        progress: Told what happens, in words.

    Raises:
        LabImpossible: This machine cannot hold a lab.
        TopologyUnknown: There is no such topology.
        HostNotReady: A host did not come up in time.
    """
    machine.require(progress)
    with changing(lab):
        old = load(lab.state)
        topology = read_topology(lab.tracked, topology_name or (old.topology if old else DEFAULT))
        root, packages = _build(lab, progress)
        state = _prepare(lab, old, topology, root.name)
        wanted = [host.name for host in topology.hosts]
        outside = [host for name, host in state.hosts.items() if name not in wanted]
        hosts.stop(lab, (host for host in outside if is_alive(host.process)))
        _start(lab, state, wanted, packages, progress)
        subnet = IPv4Network(state.subnet)
        public = inventory_files.make_keys(lab)
        inventory_files.write_inventory(lab, state, topology, subnet, public)
        companions.start(lab, state, network.gateway(subnet), progress)
        return state


def _build(lab: Identity, progress: Progress) -> tuple[Path, Path]:
    """Return the image and the package mirror, built where the cache lacks them."""
    lab.cache.mkdir(parents=True, exist_ok=True)
    with exclusive("lab-cache", seconds=BUILD_LOCK_SECONDS):
        installed = image.read_packages(lab.tracked / "image.txt")
        root = image.build_image(lab.cache, installed, progress)
        offered = image.read_packages(lab.tracked / "packages.txt")
        return root, mirror.build_mirror(lab.cache, root, offered, progress)


def _prepare(lab: Identity, old: LabState | None, topology: Topology, root: str) -> LabState:
    """Return the lab's state with every host of the topology in it, its network made."""
    with exclusive("lab-network", seconds=LOCK_SECONDS):
        state = old or LabState(
            name=lab.name,
            checkout=str(lab.checkout),
            subnet=str(free_subnet(lab.digest, _taken(lab))),
            topology=topology.name,
        )
        state.topology = topology.name
        subnet = IPv4Network(state.subnet)
        save(state, lab.state)
        network.make_bridge(lab.bridge, subnet)
    admin = inventory_files.make_keys(lab)["admin"]
    fresh = state.snapshots.setdefault(topology.name, {}).setdefault(FRESH, {})
    for planned in topology.hosts:
        known = state.hosts.get(planned.name)
        if known is not None and (lab.cache / known.image).is_dir():
            known.groups = planned.groups
            continue
        shutil.rmtree(hosts.directory_of(lab, planned.name), ignore_errors=True)
        host = HostState(
            name=planned.name,
            address=str(subnet[planned.number]),
            groups=planned.groups,
            layers=(hosts.SEED,),
            image=root,
        )
        hosts.seed(lab, host, admin)
        state.hosts[planned.name] = host
        fresh[planned.name] = host.layers
    hosts.write_known_hosts(lab, state.hosts)
    save(state, lab.state)
    return state


def _taken(lab: Identity) -> tuple[IPv4Network, ...]:
    """Return the networks in use on this machine, those of other labs that are down included."""
    others = []
    if lab.state.parent.is_dir():
        for directory in lab.state.parent.iterdir():
            other = load(directory) if directory != lab.state else None
            if other is not None:
                others.append(IPv4Network(other.subnet))
    return (*network.taken_networks(besides=lab.bridge), *others)


def _start(
    lab: Identity, state: LabState, wanted: Iterable[str], packages: Path, progress: Progress
) -> None:
    """Boot the wanted hosts that do not run, or that run with another package mirror."""
    began = time.monotonic()
    starting = [
        host
        for host in (state.hosts[name] for name in wanted)
        if not is_alive(host.process) or host.mirror != packages.name
    ]
    if not starting:
        return
    hosts.stop(lab, starting)
    network.remove_links(tuple(lab.machine(host.name) for host in starting))
    for host in starting:
        hosts.boot(lab, host, packages)
        save(state, lab.state)
    with ThreadPoolExecutor(max_workers=len(starting)) as pool:
        verdicts = list(pool.map(lambda host: hosts.wait_until_ready(lab, host), starting))
    for host, verdict in zip(starting, verdicts, strict=True):
        progress(f"{host.name} at {host.address} is {verdict}")
    progress(f"{len(starting)} hosts were ready after {time.monotonic() - began:.1f} s")


def down(lab: Identity, progress: Progress, *, purge: bool = False) -> None:
    """End everything of the lab that runs; with ``purge``, remove all that it ever made.

    Args:
        lab: The lab.
        progress: Told what happens, in words.
        purge: Remove disks, keys, secrets and the generated inventory, too, and the cache of
            images and packages if no other lab is left that uses it.
    """
    machine.require_root()
    with changing(lab):
        state = load(lab.state)
        if state is not None:
            running = [host for host in state.hosts.values() if is_alive(host.process)]
            companions.stop(state)
            hosts.stop(lab, state.hosts.values())
            progress(f"{len(running)} hosts were ended")
            save(state, lab.state)
        overlay.unmount(lab.state)
        network.remove_bridge(lab.bridge)
        if purge:
            _purge(lab, progress)


def _purge(lab: Identity, progress: Progress) -> None:
    """Remove the lab's directory and inventory, and the cache when this was the last lab."""
    shutil.rmtree(lab.state, ignore_errors=True)
    if not lab.shared:
        for name in inventory_files.GENERATED:
            (lab.inventory / name).unlink(missing_ok=True)
    others = list(lab.state.parent.glob("*/state.json"))
    if not others:
        with contextlib.suppress(OSError):
            lab.state.parent.rmdir()
        with exclusive("lab-cache", seconds=LOCK_SECONDS):
            shutil.rmtree(lab.cache, ignore_errors=True)
    progress("purged" + (f"; the cache stays for {len(others)} other labs" if others else ""))
