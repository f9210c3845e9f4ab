"""The one place that says how ``ansible-playbook`` is called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.inventory import located

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.inventory import Environment

PLAYBOOK = "playbooks/provision.yml"
CALLBACK = "changeover_events"
VAULT_PASSWORD = "ANSIBLE_VAULT_PASSWORD_FILE"  # noqa: S105 - the name of a variable


def arguments(environment: Environment, *, limit: Sequence[str], check: bool) -> list[str]:
    """Return the argument list; paths are absolute, the project root is the working directory.

    Args:
        environment: Whose hosts are provisioned.
        limit: Names of hosts or groups; none for all.
        check: Change nothing and report differences.
    """
    command = [str(scripts() / "ansible-playbook"), str(environment.root / PLAYBOOK)]
    command += ["--inventory", str(environment.directory / "hosts.yml")]
    if limit:
        command += ["--limit", ",".join(limit)]
    if check:
        command += ["--check", "--diff"]
    return command


def process_environment(environment: Environment, ours: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of the run: ours, with the events and the vault's password."""
    made = dict(ours)
    # Ansible starts programs of its own environment, which need not be activated.
    made["PATH"] = f"{scripts()}{os.pathsep}{ours.get('PATH', os.defpath)}"
    made["ANSIBLE_CONFIG"] = str(environment.root / "ansible.cfg")
    made["ANSIBLE_CALLBACK_PLUGINS"] = str(Path(__file__).parent / "callback")
    made["ANSIBLE_STDOUT_CALLBACK"] = CALLBACK
    made["ANSIBLE_NOCOLOR"] = "1"
    made["ANSIBLE_DEPRECATION_WARNINGS"] = "0"
    password = environment.variables.get("changeover_vault_password_file")
    if VAULT_PASSWORD not in made and isinstance(password, str):
        made[VAULT_PASSWORD] = str(located(password, environment.directory, environment.root))
    return made


def scripts() -> Path:
    """Return the directory with the programs of this Python environment."""
    return Path(sys.executable).parent
