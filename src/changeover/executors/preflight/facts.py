"""Ask every host at once what it has."""

from __future__ import annotations

import importlib.resources
import json
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover import parallel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.errors import ChangeoverError
    from changeover.inventory import Environment, Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who listens on a port: the user's id, and the systemd unit where it could be seen."""

    port: int
    user_id: int
    unit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A place that a deployment writes to, and the room there.

    Args:
        purpose: ``releases``, ``uploads``, ``backups`` or ``database``.
        path: The directory.
        free_bytes: What is free on its file system.
        device: Which file system that is: places with the same number share the room.
    """

    purpose: str
    path: str
    free_bytes: int
    device: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the database server says of itself, and what the release would do to the app's database.

    Args:
        version: Its version.
        size_bytes: How large the app's database is.
        log_bytes: How much log the server may keep.
        migrates: Whether the release has migrations, which are rehearsed on one copy more.
        unarchived: Which file of its log the archive does not take, and since when, where that is so.
    """

    version: str
    size_bytes: int
    log_bytes: int = 0
    migrates: bool = False
    unarchived: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What one host has.

    Args:
        versions: Version by program: node, npm, python, redis, nginx; ``None`` where absent.
        postgresql: Versions of its clusters.
        memory_bytes: What it may use.
        disks: The places that a deployment writes to.
        listeners: Who listens on 80 and 443.
        failed_units: What systemd calls failed.
        certificates: Text of each certificate file, ``None`` where it cannot be read.
        system: The distribution's name.
        clock_skew: Seconds between its clock and the controller's, transport allowed for.
        interpreters: Versions of Python, such as 3.11.
        machine: Its processor's name, such as x86_64.
    """

    versions: Mapping[str, str | None]
    postgresql: tuple[str, ...]
    memory_bytes: int | None
    disks: tuple[Disk, ...]
    listeners: tuple[Listener, ...]
    failed_units: tuple[str, ...]
    certificates: Mapping[str, str | None]
    system: str | None
    clock_skew: float
    interpreters: tuple[str, ...] = ()
    machine: str | None = None


def gather(
    environment: Environment,
    hosts: Sequence[Host],
    certificates: Sequence[str],
    directories: Mapping[str, str],
) -> dict[str, HostFacts | ChangeoverError]:
    """Return each host's facts, or why there are none.

    Args:
        environment: Whose deploy user asks.
        hosts: The hosts.
        certificates: Certificate files to read on them; public, never keys.
        directories: Directories whose free space is asked, by what they are for.
    """
    question = json.dumps({"certificates": list(certificates), "directories": dict(directories)})
    command = f"python3 -I -c {shlex.quote(_program())} {shlex.quote(question)}"
    before = time.time()
    answers = parallel.ask(environment, hosts, command)
    after = time.time()
    return {
        name: read(json.loads(answer.output), before, after)
        if isinstance(answer, parallel.Answer)
        else answer
        for name, answer in answers.items()
    }


def _program() -> str:
    package = importlib.resources.files("changeover.executors.preflight")
    return package.joinpath("host_facts.py").read_text(encoding="utf-8")


def read(said: Mapping[str, Any], before: float, after: float) -> HostFacts:
    """Return what a host said, its clock held against the moments around the question."""
    clock = float(said["clock"])
    return HostFacts(
        versions=said["versions"],
        postgresql=tuple(said["postgresql"]),
        memory_bytes=said["memory_bytes"],
        disks=tuple(Disk(**found) for found in said["disks"]),
        listeners=tuple(
            Listener(port=found["port"], user_id=found["uid"], unit=found["unit"])
            for found in said["listeners"]
        ),
        failed_units=tuple(said["failed_units"]),
        certificates=said["certificates"],
        system=said["system"],
        clock_skew=max(0.0, before - clock, clock - after),
        interpreters=tuple(said["interpreters"]),
        machine=said["machine"],
    )
