"""Remember what the lab has made, so that a later command finds it and nothing else."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.lab.processes import ProcessRecord

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
FILE = "state.json"


@dataclass(slots=True, kw_only=True)
class HostState:
    """A host: its place in the network, its disk, its process.

    Attributes:
        layers: Names of its read-only layers, the topmost first.
        top: Name of the layer that takes what it changes. A snapshot makes it read-only by naming
            another one here, a reset forgets it the same way: both are one write of the state.
        image: Name of the image below them.
        mirror: Name of the package mirror that it was booted with.
        process: The container's process; None when it is not meant to run.
    """

    name: str
    address: str
    groups: tuple[str, ...]
    layers: tuple[str, ...]
    image: str
    top: str = "0001"
    mirror: str = ""
    process: ProcessRecord | None = None


@dataclass(slots=True, kw_only=True)
class CompanionState:
    """A program that runs beside the hosts, on this machine's end of the bridge.

    Attributes:
        digest: What it was started as; another one means that it is to be started anew.
    """

    name: str
    port: int
    process: ProcessRecord | None
    digest: str


@dataclass(slots=True, kw_only=True)
class LabState:
    """Everything of a lab that outlives a command.

    Attributes:
        subnet: The lab's network; its first address is this machine's.
        topology: The topology that is or was up last.
        apps: The apps that it was last asked to have; none for those that its files name.
        hosts: By name; hosts of other topologies keep their disks here, too.
        snapshots: By topology, then by the snapshot's name: each host's layers.
    """

    name: str
    checkout: str
    subnet: str
    topology: str
    apps: tuple[str, ...] = ()
    hosts: dict[str, HostState] = field(default_factory=dict)
    snapshots: dict[str, dict[str, dict[str, tuple[str, ...]]]] = field(default_factory=dict)
    companions: dict[str, CompanionState] = field(default_factory=dict)


def save(state: LabState, directory: Path) -> None:
    """Write the state so that a crash leaves the old or the new one."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({"format": FORMAT, **asdict(state)}, indent=1)
    write_private(directory / FILE, text)


def load(directory: Path) -> LabState | None:
    """Return the state of the lab in this directory; None when there is none."""
    try:
        text = (directory / FILE).read_text()
    except FileNotFoundError:
        return None
    document: dict[str, Any] = json.loads(text)
    document.pop("format")
    document["apps"] = tuple(document.get("apps", ()))
    document["hosts"] = {
        name: HostState(
            **{
                **entry,
                "groups": tuple(entry["groups"]),
                "layers": tuple(entry["layers"]),
                "process": _process(entry["process"]),
            }
        )
        for name, entry in document["hosts"].items()
    }
    document["companions"] = {
        name: CompanionState(**{**entry, "process": _process(entry["process"])})
        for name, entry in document["companions"].items()
    }
    document["snapshots"] = {
        topology: {
            snapshot: {host: tuple(layers) for host, layers in hosts.items()}
            for snapshot, hosts in snapshots.items()
        }
        for topology, snapshots in document["snapshots"].items()
    }
    return LabState(**document)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step: the old content or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(file)


def _process(entry: dict[str, Any] | None) -> ProcessRecord | None:
    return None if entry is None else ProcessRecord(**entry)
