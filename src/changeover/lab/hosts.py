"""Boot hosts as containers, wait until they serve, and end them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import Failed
from changeover.lab import overlay
from changeover.lab.groups import make_groups, remove_groups, systemd_runs
from changeover.lab.keys import make_ssh_key
from changeover.lab.processes import is_alive, kill_tree, signal_process, spawn, wait_for_end
from changeover.lab.programs import ProgramFailed, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from changeover.lab.identity import Identity
    from changeover.lab.state import HostState

NSPAWN = Path("/run/systemd/nspawn")
SSH_PORT = 22
BOOT_SECONDS = 120
STOP_SECONDS = 60
KILL_SECONDS = 10
CONSOLE_TAIL = 1500
SEED = "seed"
NETWORK = """[Match]
Name=host0

[Network]
Address={address}/24
LinkLocalAddressing=no
"""


class HostNotReady(Failed):
    """A lab host did not come up."""


def directory_of(lab: Identity, host: str) -> Path:
    """Return a host's directory."""
    return lab.state / "hosts" / host


def console_of(lab: Identity, host: str) -> Path:
    """Return the file with what a host's console said."""
    return lab.state / "log" / f"{host}.console"


def host_key(lab: Identity, host: str) -> Path:
    """Return the file of a host's private SSH key."""
    return lab.state / "keys" / "hosts" / host


def seed(lab: Identity, host: HostState, admin_key: str) -> None:
    """Write a host's lowest layer: what makes it this host (name, address, keys)."""
    layer = directory_of(lab, host.name) / "layers" / SEED
    public = make_ssh_key(host_key(lab, host.name), host.name)
    files = {
        "etc/hostname": (f"{host.name}\n", 0o644),
        "etc/hosts": (f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n::1 localhost\n", 0o644),
        "etc/systemd/network/80-container-host0.network": (
            NETWORK.format(address=host.address),
            0o644,
        ),
        "etc/ssh/ssh_host_ed25519_key": (host_key(lab, host.name).read_text(), 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (f"{public}\n", 0o644),
        "root/.ssh/authorized_keys": (f"{admin_key}\n", 0o600),
    }
    for name, (text, mode) in files.items():
        file = layer / name
        for parent in reversed(file.relative_to(layer).parents):
            directory = layer / parent
            directory.mkdir(exist_ok=True, parents=True)
            directory.chmod(0o700 if parent.parts[:1] == ("root",) else 0o755)
        file.write_text(text)
        file.chmod(mode)


def boot(lab: Identity, host: HostState, mirror: Path) -> None:
    """Mount a host's root and start its container; its process is noted in ``host``.

    Args:
        lab: The lab.
        host: The host, after ``stop``: what an earlier command left of it is gone.
        mirror: The directory of packages that it sees read-only at /srv/apt.

    Raises:
        HostNotReady: The container ended at once.
    """
    directory = directory_of(lab, host.name)
    layers = [directory / "layers" / name for name in host.layers]
    root = overlay.mount_root(directory, (*layers, lab.cache / host.image), host.top)
    console = console_of(lab, host.name)
    console.parent.mkdir(parents=True, exist_ok=True)
    console.unlink(missing_ok=True)
    host.process = spawn(
        _container(lab, host, root, mirror),
        log=console,
        directory=Path("/"),
        environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        groups=make_groups(lab.machine(host.name)),
    )
    if host.process is None:
        raise not_ready(lab, host, "its container ended at once")


def _container(lab: Identity, host: HostState, root: Path, mirror: Path) -> list[str]:
    """Return the command that is the host's container."""
    return [
        "systemd-nspawn",
        *(() if systemd_runs() else ("--keep-unit",)),
        "--quiet",
        f"--directory={root}",
        f"--machine={lab.machine(host.name)}",
        f"--hostname={host.name}",
        "--register=no",
        f"--network-bridge={lab.bridge}",
        f"--bind-ro={mirror}:/srv/apt",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=read-only",
        "--boot",
    ]


def wait_until_ready(lab: Identity, host: HostState, seconds: float = BOOT_SECONDS) -> str:
    """Wait until a host answers SSH and has started its services; return systemd's verdict.

    Raises:
        HostNotReady: It ended, or was not ready in time.
    """
    deadline = time.monotonic() + seconds
    while not answers(host.address):
        if not is_alive(host.process):
            raise not_ready(lab, host, "its container ended while it booted")
        if time.monotonic() > deadline:
            raise not_ready(lab, host, f"it did not answer SSH within {seconds:.0f} seconds")
        time.sleep(0.1)
    wait = "systemctl is-system-running --wait || true"
    try:
        return run(
            *ssh_command(lab, host, wait), seconds=max(5, deadline - time.monotonic())
        ).strip()
    except ProgramFailed as refused:
        raise not_ready(lab, host, "SSH refused the lab's key", refused.cause) from refused


def answers(address: str) -> bool:
    """Tell whether an SSH server greets at this address."""
    try:
        with socket.create_connection((address, SSH_PORT), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def ssh_options(lab: Identity) -> tuple[str, ...]:
    """Return the options under which SSH trusts the lab's own hosts and no other."""
    return (
        "-o",
        f"UserKnownHostsFile={lab.state / 'known_hosts'}",
        "-o",
        "GlobalKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "ConnectTimeout=5",
        "-o",
        "LogLevel=ERROR",
    )


def ssh_command(lab: Identity, host: HostState, *command: str) -> list[str]:
    """Return the SSH command line that reaches a host as its administrator."""
    key = str(lab.state / "keys" / "admin")
    mode = ["-o", "BatchMode=yes"] if command else []
    return [
        "ssh",
        "-F",
        "none",
        *ssh_options(lab),
        *mode,
        "-i",
        key,
        f"root@{host.address}",
        *command,
    ]


def stop(lab: Identity, hosts: Iterable[HostState], *, clean: bool = True) -> None:
    """End hosts and unmount them: power off together, then kill what is left.

    Args:
        lab: The lab.
        hosts: Those to end; their ``process`` becomes None.
        clean: Whether services get the time to stop; a disk that is thrown away does not need it.
    """
    ending = tuple(hosts)
    deadline = time.monotonic() + STOP_SECONDS
    for host in ending:
        if clean:
            # nspawn passes it on as the signal that makes the host's systemd power off
            signal_process(host.process, signal.SIGTERM)
    for host in ending:
        if clean:
            wait_for_end(host.process, deadline - time.monotonic())
        kill_tree(host.process, KILL_SECONDS)
        # takes with it a container that was started just before a command was cut off
        remove_groups(lab.machine(host.name))
        _sweep(lab.machine(host.name), directory_of(lab, host.name) / "root")
        overlay.unmount(directory_of(lab, host.name))
        host.process = None


def _sweep(machine: str, root: Path) -> None:
    """Remove what nspawn keeps about a machine and leaves behind when it is killed."""
    for part in ("propagate", "unix-export"):
        shutil.rmtree(NSPAWN / part / machine, ignore_errors=True)
    if root.exists():
        identity = root.stat()
        lock = NSPAWN / "locks" / f"inode-{identity.st_dev}:{identity.st_ino}"
        lock.unlink(missing_ok=True)


def not_ready(
    lab: Identity, host: HostState, reason: str, cause: str | None = None
) -> HostNotReady:
    """Return the failure of a host, with what its console said last."""
    console = console_of(lab, host.name)
    said = console.read_text(errors="replace") if console.is_file() else ""
    return HostNotReady(
        f"lab host {host.name} is not ready: {reason}",
        hint=f"see {console}, then: changeover lab up",
        host=host.name,
        cause=cause or said[-CONSOLE_TAIL:] or None,
    )


def write_known_hosts(lab: Identity, hosts: Mapping[str, HostState]) -> None:
    """Write the only host keys that the lab's SSH accepts."""
    lines = []
    for host in hosts.values():
        kind, key = make_ssh_key(host_key(lab, host.name), host.name).split()[:2]
        lines.append(f"{host.address} {kind} {key}\n")
    (lab.state / "known_hosts").write_text("".join(lines))
