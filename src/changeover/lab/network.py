"""Make and remove the lab's bridge: the only network that its hosts have."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

from changeover.lab.programs import ProgramFailed, run

LINKS = Path("/sys/class/net")


def taken_networks(besides: str) -> tuple[IPv4Network, ...]:
    """Return the IPv4 networks that addresses and routes of this machine use, but for one link."""
    found: list[IPv4Network] = []
    for link in json.loads(run("ip", "-json", "-4", "address", "show") or "[]"):
        if link.get("ifname") != besides:
            found += [
                IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False)
                for entry in link.get("addr_info", ())
            ]
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all") or "[]"):
        destination = route.get("dst", "default")
        if route.get("dev") != besides and destination not in {"default", "0.0.0.0/0"}:
            found.append(IPv4Network(destination, strict=False))
    return tuple(found)


def gateway(subnet: IPv4Network) -> str:
    """Return the address that this machine has on the bridge."""
    return str(subnet[1])


def make_bridge(name: str, subnet: IPv4Network) -> bool:
    """Make the bridge with its address where it is missing; tell whether it was."""
    missing = not (LINKS / name).exists()
    if missing:
        run("ip", "link", "add", "name", name, "type", "bridge")
    run("ip", "address", "replace", f"{gateway(subnet)}/{subnet.prefixlen}", "dev", name)
    run("ip", "link", "set", "dev", name, "up")
    return missing


def remove_bridge(name: str) -> None:
    """Remove the bridge if it is there."""
    if (LINKS / name).exists():
        run("ip", "link", "delete", "dev", name)


def remove_links(machines: tuple[str, ...]) -> None:
    """Remove links of hosts that have ended.

    The kernel takes a killed host's link away some time after its last process, and a host of the
    same name cannot boot before.
    """
    for machine in machines:
        link = f"vb-{machine}"
        if not (LINKS / link).exists():
            continue
        try:
            run("ip", "link", "delete", "dev", link)
        except ProgramFailed:
            # gone by itself meanwhile
            if (LINKS / link).exists():
                raise
