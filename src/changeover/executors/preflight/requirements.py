"""Hold facts against what a release requires. Pure: values in, findings out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.executors.preflight.disks import disks
from changeover.executors.preflight.findings import Finding, Status
from changeover.release.figures import size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.executors.preflight.facts import HostFacts, Listener, Server
    from changeover.release.model import Requirement, Requirements

OURS = frozenset({"nginx.service", "haproxy.service"})
SKEW_WARN_SECONDS, SKEW_RED_SECONDS = 2.0, 30.0
PROGRAMS = {
    "app": ("node", "npm", "python", "nginx"),
    "cache": ("redis",),
    "db": ("postgresql",),
}


def findings(
    host: str,
    groups: Sequence[str],
    facts: HostFacts,
    requires: Requirements,
    server: Server | None,
    provision: str,
) -> Iterator[Finding]:
    """Yield what holds for one host.

    Args:
        host: Its inventory name.
        groups: The groups it is in; a requirement holds where its program works.
        facts: What it has.
        requires: What the release needs and what it would like.
        server: The database server's own word, where it could be asked.
        provision: The command that brings this host to its platform state.
    """
    for group, programs in PROGRAMS.items():
        if group not in groups:
            continue
        for program in programs:
            found = _found(program, facts, server)
            yield from _version(host, program, found, requires, provision)
    if {"app", "db"} & set(groups):
        yield from _memory(host, facts.memory_bytes, requires)
        yield from disks(host, groups, facts.disks, requires, server)
    if {"app", "lb"} & set(groups):
        yield from _ports(host, facts.listeners)
    yield _clock(host, facts.clock_skew)
    if facts.failed_units:
        yield Finding(
            id="failed-units",
            status="warn",
            host=host,
            message=f"failed units: {', '.join(facts.failed_units)}",
            next=f"look at them on {host}: systemctl --failed",
        )


def environment_findings(
    requires: Requirements, balancers: Sequence[str], apps: Sequence[str]
) -> Iterator[Finding]:
    """Yield what holds for the environment as a whole: balancer, content network."""
    balanced = bool(set(balancers) - set(apps))
    if requires.minimum.balancer or requires.recommended.balancer:
        missing: Status = "red" if requires.minimum.balancer else "warn"
        yield Finding(
            id="balancer",
            status="ok" if balanced else missing,
            host=None,
            message="a balancer stands before the app hosts"
            if balanced
            else "no balancer stands before the app hosts",
            next="" if balanced else "add a host to group lb and a second one to group app",
        )
    if requires.minimum.cdn or requires.recommended.cdn:
        yield Finding(
            id="cdn",
            status="warn",
            host=None,
            message="a content network for static files is asked for; it cannot be seen from here",
            next="see to it that static files are served through one, or live without",
        )


def _found(program: str, facts: HostFacts, server: Server | None) -> str | None:
    if program != "postgresql":
        return facts.versions.get(program)
    if server is not None:
        return server.version.split()[0]
    return min(facts.postgresql, key=order, default=None)


def order(version: str) -> tuple[int, ...]:
    """Return a version as numbers to compare by; what is not a number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in re.split(r"[.-]", version))


def _below(found: str, wanted: str) -> bool:
    left, right = order(found), order(wanted)
    width = max(len(left), len(right))
    return left + (0,) * (width - len(left)) < right + (0,) * (width - len(right))


def _wanted(requirement: Requirement, name: str) -> str | None:
    value = getattr(requirement, name)
    return None if value is None else str(value)


def _version(
    host: str, program: str, found: str | None, requires: Requirements, provision: str
) -> Iterator[Finding]:
    least, better = _wanted(requires.minimum, program), _wanted(requires.recommended, program)
    if least is None and better is None:
        return
    if found is None:
        yield Finding(
            id=program,
            status="warn" if least is None else "red",
            host=host,
            message=f"{program} is not installed, {least or better} or newer is needed",
            next=provision,
        )
        return
    red = warn = None
    if least is not None and _below(found, least):
        red = f"at least {least} is needed", f"upgrade {program} on {host}, then run this again"
    if better is not None and _below(found, better):
        warn = f"{better} or newer is recommended", f"plan an upgrade of {program} on {host}"
    yield Finding.ranked(program, host, f"{program} is {found}", red=red, warn=warn)


def _memory(host: str, found: int | None, requires: Requirements) -> Iterator[Finding]:
    least, better = requires.minimum.memory, requires.recommended.memory
    if found is None or (least is None and better is None):
        return
    red = warn = None
    if least is not None and found < size_bytes(least):
        red = f"at least {least} is needed", f"add memory on {host}, then run this again"
    if better is not None and found < size_bytes(better):
        warn = f"{better} is recommended", f"plan for more memory on {host}"
    yield Finding.ranked("memory", host, f"memory: {found / 10**9:.1f} GB", red=red, warn=warn)


def _ports(host: str, listeners: Sequence[Listener]) -> Iterator[Finding]:
    for port in (80, 443):
        here = [listener for listener in listeners if listener.port == port]
        strangers = sorted(
            {str(found.unit) for found in here if found.unit and found.unit not in OURS}
        )
        unseen = [found for found in here if found.unit is None]
        if strangers:
            yield Finding(
                id=f"port-{port}",
                status="red",
                host=host,
                message=f"port {port} is taken by {', '.join(strangers)}",
                next=f"stop and disable {strangers[0]} on {host}, then run this again",
            )
        elif unseen:
            yield Finding(
                id=f"port-{port}",
                status="red" if unseen[0].user_id else "warn",
                host=host,
                message=f"port {port} is taken by a program of user id {unseen[0].user_id}"
                " whose unit cannot be seen",
                next=f"look who it is: ss -Htlnp 'sport = :{port}' on {host}",
            )
        else:
            owner = here[0].unit if here else None
            yield Finding(
                id=f"port-{port}",
                status="ok",
                host=host,
                message=f"port {port} is {f'served by {owner}' if owner else 'free'}",
            )


def _clock(host: str, skew: float) -> Finding:
    if skew < SKEW_WARN_SECONDS:
        return Finding(id="clock", status="ok", host=host, message="its clock agrees with ours")
    return Finding(
        id="clock",
        status="red" if skew >= SKEW_RED_SECONDS else "warn",
        host=host,
        message=f"its clock is {skew:.0f} s away from ours",
        next=f"look at time synchronisation on {host}: timedatectl",
    )
