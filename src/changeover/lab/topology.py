"""Read which hosts a topology has and which groups they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = "single"


class TopologyUnknown(InvalidInput):
    """No topology of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedHost:
    """One host of a topology; ``number`` is the last byte of its address."""

    name: str
    number: int
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A named set of hosts."""

    name: str
    hosts: tuple[PlannedHost, ...]


def read_topology(tracked: Path, name: str) -> Topology:
    """Return the topology ``name`` of ``topologies.yml``.

    Raises:
        TopologyUnknown: The file has no such topology.
    """
    topologies = yaml.safe_load((tracked / "topologies.yml").read_text())
    if name not in topologies:
        message = f"there is no topology {name!r}"
        raise TopologyUnknown(message, hint=f"choose one of: {', '.join(sorted(topologies))}")
    return Topology(
        name=name,
        hosts=tuple(
            PlannedHost(name=host, number=entry["number"], groups=tuple(entry["groups"]))
            for host, entry in topologies[name].items()
        ),
    )
