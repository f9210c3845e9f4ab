"""Tell what of a lab there is and runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput
from changeover.lab.hosts import answers
from changeover.lab.processes import is_alive
from changeover.lab.state import load
from changeover.lab.topology import read_topology

if TYPE_CHECKING:
    from changeover.lab.identity import Identity
    from changeover.lab.state import HostState


class HostUnknown(InvalidInput):
    """The lab has no host of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """A host as it is now; ``state`` is ``running``, ``booting`` or ``stopped``."""

    name: str
    address: str
    groups: tuple[str, ...]
    state: str
    pid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionStatus:
    """A companion as it is now; ``state`` is ``running`` or ``stopped``."""

    name: str
    port: int
    state: str
    pid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStatus:
    """A lab as it is now; one that was never up has neither topology nor subnet nor hosts."""

    name: str
    topology: str | None
    subnet: str | None
    inventory: str
    hosts: tuple[HostStatus, ...]
    companions: tuple[CompanionStatus, ...]
    snapshots: tuple[str, ...]

    def as_event(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {"type": "lab", **asdict(self)}


def status(lab: Identity) -> LabStatus:
    """Return what there is of the lab's last topology and whether it runs."""
    state = load(lab.state)
    if state is None:
        return LabStatus(
            name=lab.name,
            topology=None,
            subnet=None,
            inventory=str(lab.inventory),
            hosts=(),
            companions=(),
            snapshots=(),
        )
    planned = read_topology(lab.tracked, state.topology).hosts
    return LabStatus(
        name=lab.name,
        topology=state.topology,
        subnet=state.subnet,
        inventory=str(lab.inventory),
        hosts=tuple(_host(state.hosts[host.name]) for host in planned if host.name in state.hosts),
        companions=tuple(
            CompanionStatus(
                name=companion.name,
                port=companion.port,
                state="running" if is_alive(companion.process) else "stopped",
                pid=companion.process.pid if companion.process else None,
            )
            for companion in state.companions.values()
        ),
        snapshots=tuple(state.snapshots.get(state.topology, {})),
    )


def find_host(lab: Identity, name: str) -> HostState:
    """Return the state of a host.

    Raises:
        HostUnknown: The lab has none of that name.
    """
    state = load(lab.state)
    known = state.hosts if state else {}
    if name not in known:
        message = f"the lab has no host {name!r}"
        hint = f"choose one of: {', '.join(known)}" if known else "changeover lab up"
        raise HostUnknown(message, hint=hint)
    return known[name]


def _host(host: HostState) -> HostStatus:
    alive = is_alive(host.process)
    running = "running" if alive and answers(host.address) else "booting"
    return HostStatus(
        name=host.name,
        address=host.address,
        groups=host.groups,
        state=running if alive else "stopped",
        pid=host.process.pid if alive and host.process else None,
    )
