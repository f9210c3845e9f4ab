"""Run the programs that stand beside the hosts, on this machine's end of the bridge."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import yaml

from changeover.errors import Failed
from changeover.lab import inventory_files
from changeover.lab.network import gateway
from changeover.lab.processes import is_alive, kill_tree, signal_process, spawn, wait_for_end
from changeover.lab.state import CompanionState, save

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from changeover.lab.identity import Identity
    from changeover.lab.programs import Progress
    from changeover.lab.state import LabState

START_SECONDS = 30
STOP_SECONDS = 5
LOG_TAIL = 1500


class CompanionFailed(Failed):
    """A program beside the hosts does not serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A program to run: its words and environment have this lab's addresses and secrets in them."""

    name: str
    command: tuple[str, ...]
    port: int
    environment: dict[str, str]

    def digest(self, checkout: Path) -> str:
        """Return a digest of what it is: its words, its environment, the files its words name."""
        known = hashlib.sha256(repr((self.command, self.port, self.environment)).encode())
        for word in self.command:
            if (checkout / word).is_file():
                known.update((checkout / word).read_bytes())
        return known.hexdigest()


def read_companions(
    tracked: Path, apps: Collection[str], controller: str, secrets: dict[str, Any]
) -> list[Companion]:
    """Return the companions of ``companions.yml`` that apps of the lab need.

    Args:
        tracked: The directory of the lab's data files.
        apps: The lab's.
        controller: This machine's address on the bridge.
        secrets: The lab's secrets, by app and name.

    Raises:
        CompanionFailed: One wants a secret that ``secrets.yml`` does not name.
    """
    names = inventory_files.public_names(tracked)
    found = []
    document = yaml.safe_load((tracked / "companions.yml").read_text())["companions"] or {}
    for name, entry in document.items():
        if entry.get("app", "") not in {"", *apps}:
            continue
        environment = {}
        for variable, value in entry.get("environment", {}).items():
            if isinstance(value, dict):
                app, secret = value["secret"]
                if secret not in secrets.get(app, {}):
                    message = f"companion {name} wants the secret {secret} of {app}: there is none"
                    raise CompanionFailed(message, hint=f"name it in {tracked / 'secrets.yml'}")
                environment[variable] = str(secrets[app][secret])
            else:
                public = names.get(entry.get("app", ""), "")
                environment[variable] = str(inventory_files.fill(value, controller, public))
        command = tuple(str(word) for word in entry["command"])
        found.append(
            Companion(name=name, command=command, port=entry["port"], environment=environment)
        )
    return found


def start(lab: Identity, state: LabState, secrets: dict[str, Any], progress: Progress) -> None:
    """Start the companions that do not run as they are declared now, and end those no longer declared.

    Raises:
        CompanionFailed: One does not accept connections in time, or its port is taken.
    """
    controller = gateway(IPv4Network(state.subnet))
    apps = inventory_files.apps_of(lab, state)
    wanted = {one.name: one for one in read_companions(lab.tracked, apps, controller, secrets)}
    for name, running in list(state.companions.items()):
        declared = wanted.get(name)
        unchanged = declared is not None and declared.digest(lab.checkout) == running.digest
        if not (unchanged and is_alive(running.process)):
            _end(running)
            del state.companions[name]
    for name, companion in wanted.items():
        if name not in state.companions:
            _launch(lab, state, companion, controller)
            progress(f"{name} serves at {controller}:{companion.port}")
    save(state, lab.state)


def stop(state: LabState) -> None:
    """End the companions."""
    for companion in state.companions.values():
        _end(companion)
    state.companions.clear()


def _launch(lab: Identity, state: LabState, companion: Companion, address: str) -> None:
    log = lab.state / "log" / f"{companion.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    program = shutil.which(companion.command[0])
    if program is None:
        message = f"companion {companion.name} needs `{companion.command[0]}`: it is not installed"
        raise CompanionFailed(message, hint="scripts/install")
    if _accepts(address, companion.port):
        message = f"companion {companion.name} cannot listen: {address}:{companion.port} is taken"
        raise CompanionFailed(message, hint=f"see who listens: ss -ltnp 'sport = {companion.port}'")
    process = spawn(
        (program, *companion.command[1:]),
        log=log,
        directory=lab.checkout,
        environment={
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            **companion.environment,
        },
    )
    state.companions[companion.name] = CompanionState(
        name=companion.name,
        port=companion.port,
        process=process,
        digest=companion.digest(lab.checkout),
    )
    save(state, lab.state)
    deadline = time.monotonic() + START_SECONDS
    while not _accepts(address, companion.port):
        ended = not is_alive(process)
        if ended or time.monotonic() > deadline:
            reason = "it ended" if ended else f"nothing after {START_SECONDS} seconds"
            raise CompanionFailed(
                f"companion {companion.name} does not serve at {address}:{companion.port}: {reason}",
                hint=f"see {log}, then: changeover lab up",
                cause=log.read_text(errors="replace")[-LOG_TAIL:] or None,
            )
        time.sleep(0.1)


def _end(companion: CompanionState) -> None:
    if signal_process(companion.process, signal.SIGTERM):
        wait_for_end(companion.process, STOP_SECONDS)
    kill_tree(companion.process, STOP_SECONDS)


def _accepts(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False
