"""Derive what sets one lab apart from another: its name, its bridge, its directories, its subnet."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput
from changeover.inventory.root import (
    LAB_STATE_DIRECTORY,
    LAB_STATE_VARIABLE,
    LAB_VARIABLE,
    project_root,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME_VARIABLE = LAB_VARIABLE
STATE_VARIABLE = LAB_STATE_VARIABLE
CACHE_VARIABLE = "CHANGEOVER_LAB_CACHE"
STATE_DIRECTORY = LAB_STATE_DIRECTORY
CACHE_DIRECTORY = Path("/var/cache/changeover")
NAME_SHAPE = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
SUBNETS = 64 * 256


class LabNameInvalid(InvalidInput):
    """The lab's name cannot be part of a path or of a machine's name."""


class SubnetsTaken(InvalidInput):
    """Every subnet the lab could use meets an address of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One lab: what its directories, its bridge and its hosts' machines are called.

    Attributes:
        name: Unique on this machine.
        checkout: The checkout that the lab's data files come from.
        shared: Whether the name was given (``CHANGEOVER_LAB``), so that the checkout may have other
            labs and this one keeps its inventory to itself.
        state: The lab's own directory.
        cache: Images and package mirrors of all labs.
    """

    name: str
    checkout: Path
    shared: bool
    state: Path
    cache: Path

    @property
    def digest(self) -> str:
        """Return eight hexadecimal digits that stand for the name where room is short."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:8]

    @property
    def bridge(self) -> str:
        """Return the bridge's name; the kernel allows 15 characters."""
        return f"chg-{self.digest}"

    @property
    def tracked(self) -> Path:
        """Return the directory of the lab's tracked data files."""
        return self.checkout / "inventories" / "lab"

    @property
    def inventory(self) -> Path:
        """Return the inventory directory that ``up`` fills."""
        return self.state / "inventory" if self.shared else self.tracked

    def machine(self, host: str) -> str:
        """Return the machine's name of a host: unique among all labs, it names its network link."""
        return f"{self.digest[:6]}-{host}"


def identify(working: Path | None = None) -> Identity:
    """Return the identity of the lab that belongs to this checkout or to ``CHANGEOVER_LAB``.

    Raises:
        RootMissing: The working directory is outside a checkout.
        LabNameInvalid: ``CHANGEOVER_LAB`` is no usable name.
    """
    checkout = project_root(working)
    given = os.environ.get(NAME_VARIABLE, "")
    name = given or name_of(checkout)
    if not NAME_SHAPE.fullmatch(name):
        message = f"{NAME_VARIABLE}={name!r} is no lab name"
        hint = "use lower-case letters, digits and `-`, at most 31 characters"
        raise LabNameInvalid(message, hint=hint)
    return Identity(
        name=name,
        checkout=checkout,
        shared=bool(given),
        state=Path(os.environ.get(STATE_VARIABLE, STATE_DIRECTORY)) / name,
        cache=Path(os.environ.get(CACHE_VARIABLE, CACHE_DIRECTORY)),
    )


def name_of(checkout: Path) -> str:
    """Return the lab's name of a checkout: its directory, told apart by its whole path."""
    words = re.sub(r"[^a-z0-9]+", "-", checkout.name.lower()).strip("-")[:20] or "lab"
    return f"{words}-{hashlib.sha256(str(checkout).encode()).hexdigest()[:6]}"


def subnets(digest: str) -> Iterator[IPv4Network]:
    """Yield the /24 networks a lab may use, its own favourite first."""
    first = int(digest, 16) % SUBNETS
    for step in range(SUBNETS):
        second, third = divmod((first + step) % SUBNETS, 256)
        yield IPv4Network(f"10.{second + 64}.{third}.0/24")


def free_subnet(digest: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first subnet that overlaps none of ``taken``.

    Raises:
        SubnetsTaken: There is none.
    """
    used = tuple(taken)
    for subnet in subnets(digest):
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise SubnetsTaken("no free 10.x.y.0/24 is left on this machine", hint="ip route")
