"""How the suite gets to the hosts: an SSH configuration of its own, and what it has to know."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.inventory import Environment, Host
    from changeover.release import App


def question(environment: Environment, apps: Sequence[App], config: Path) -> dict[str, Any]:
    """Return what the suite has to know, as plain JSON without secrets."""
    return {
        "environment": environment.name,
        "ssh_config": str(config),
        "deploy_user": environment.deploy_user,
        "signers": list(environment.signers),
        "apps": {
            app.app: {
                "user": app.user,
                "public_name": environment.public_name(app.app),
                "database": None
                if app.database is None
                else {
                    "name": app.database.name,
                    "owner": app.database.owner,
                    "role": app.database.role,
                },
                "cache_user": None if app.cache is None else app.cache.user,
            }
            for app in apps
        },
        "hosts": {
            host.name: {
                "groups": list(host.groups),
                "address": environment.private_address(host),
                "administrator": administrator(environment, host)[0],
            }
            for host in environment.hosts
        },
    }


def administrator(environment: Environment, host: Host) -> tuple[str | None, Path]:
    """Return the administrator and the key, or ``None`` where this controller has no such key."""
    user = host.variables.get("ansible_user")
    named = host.variables.get("ansible_ssh_private_key_file")
    if not isinstance(user, str) or not isinstance(named, str):
        return None, Path()
    key = environment.root / Path(named).expanduser()
    return (user, key) if key.is_file() else (None, key)


def ssh_config(environment: Environment, folder: Path) -> str:
    """Return an SSH configuration with one connection a host and user, host keys strict."""
    blocks = []
    for host in environment.hosts:
        ways = [("deploy", environment.deploy_user, environment.deploy_key)]
        user, key = administrator(environment, host)
        if user is not None:
            ways.append(("admin", user, key))
        for alias, name, identity in ways:
            settings = {
                "HostName": host.address,
                "Port": host.port,
                "User": name,
                "IdentityFile": f'"{identity}"',
                "IdentitiesOnly": "yes",
                "UserKnownHostsFile": f'"{environment.known_hosts}"',
                "GlobalKnownHostsFile": "/dev/null",
                "StrictHostKeyChecking": "yes",
                "BatchMode": "yes",
                "LogLevel": "ERROR",
                "ControlPath": f"{folder}/%n",
            }
            lines = "\n".join(f"    {key} {value}" for key, value in settings.items())
            blocks.append(f"Host {host.name}-{alias}\n{lines}\n")
    return "\n".join(blocks)


def close(folder: Path, hosts: Iterable[str]) -> None:
    """End the connections that were kept open between checks."""
    for host in hosts:
        for alias in ("deploy", "admin"):
            name = f"{host}-{alias}"
            if (folder / name).exists():
                subprocess.run(
                    ["ssh", "-F", str(folder / "ssh_config"), "-O", "exit", name],
                    capture_output=True,
                    timeout=10,
                    check=False,
                )
