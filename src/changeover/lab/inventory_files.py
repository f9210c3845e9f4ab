"""Write the lab's part of its inventory: addresses, paths of keys, secrets.

Nothing else in the toolkit knows that a host is a lab host: it reads these files as any others.
"""

from __future__ import annotations

import shutil
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import yaml

from changeover.lab import keys, vault
from changeover.lab.hosts import ssh_options
from changeover.lab.network import gateway
from changeover.lab.state import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from changeover.lab.identity import Identity
    from changeover.lab.state import LabState
    from changeover.lab.topology import Topology

HEADER = "# written by `changeover lab up`; changes are lost\n"
GENERATED = ("hosts.yml", "group_vars/all/lab.yml", "group_vars/all/vault.yml")
Variables = dict[str, Any]


def make_keys(lab: Identity) -> dict[str, str]:
    """Make what keys the lab lacks; return the public lines and the age recipient by name."""
    directory = lab.state / "keys"
    public = {
        name: keys.make_ssh_key(directory / name, f"{name}@{lab.name}") for name in keys.SSH_KEYS
    }
    keys.make_authority(directory, lab.name)
    keys.make_vault_password(directory / "vault-password")
    return {**public, "age": keys.make_age_identity(directory / "age-identity.txt")}


def write_inventory(
    lab: Identity, state: LabState, topology: Topology, public: dict[str, str]
) -> Variables:
    """Write the generated files; a lab with a name of its own gets its own copy of all others.

    Args:
        lab: The lab.
        state: Its state: addresses.
        topology: Which of its hosts are meant.
        public: The public keys, as ``make_keys`` returns them.

    Returns:
        The secrets in the vault, as variables.
    """
    target = lab.inventory
    subnet = IPv4Network(state.subnet)
    if lab.shared:
        skip = shutil.ignore_patterns("hosts.yml", "lab.yml", "vault.yml")
        shutil.copytree(lab.tracked, target, ignore=skip, dirs_exist_ok=True)
    values = {
        target / "hosts.yml": hosts_document(lab, state, topology),
        target / "group_vars/all/lab.yml": variables(lab, state, topology, subnet, public),
    }
    for file, document in values.items():
        text = HEADER + yaml.dump(document, Dumper=_IndentedDumper, sort_keys=False, width=120)
        if not file.is_file() or file.read_text() != text:
            write_private(file, text)
    password = lab.state / "keys" / "vault-password"
    drawn = vault.of_apps(vault.lab_secrets(lab.tracked, lab.state), apps_of(lab, state))
    vault.write_vault(target / "group_vars/all/vault.yml", drawn, password)
    return drawn


def apps_of(lab: Identity, state: LabState) -> tuple[str, ...]:
    """Return the apps that a lab has: those that it was asked to have, else those of its files."""
    return state.apps or _tracked_apps(lab)


def asked_for(lab: Identity, apps: Iterable[str]) -> tuple[str, ...]:
    """Return the apps that a lab was asked to have, each once; none where its files name the same."""
    once = tuple(dict.fromkeys(apps))
    return () if once == _tracked_apps(lab) else once


def _tracked_apps(lab: Identity) -> tuple[str, ...]:
    document = yaml.safe_load((lab.tracked / "group_vars/all/apps.yml").read_text())
    return tuple(document["changeover_apps"])


def hosts_document(lab: Identity, state: LabState, topology: Topology) -> Variables:
    """Return the content of ``hosts.yml``."""
    groups: dict[str, dict[str, Variables]] = {}
    for host in topology.hosts:
        for group in host.groups:
            entry = {"ansible_host": state.hosts[host.name].address}
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = entry
    return {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(lab.state / "keys" / "admin"),
                "ansible_ssh_common_args": " ".join(ssh_options(lab)),
            },
            "children": groups,
        }
    }


def variables(
    lab: Identity, state: LabState, topology: Topology, subnet: IPv4Network, public: dict[str, str]
) -> Variables:
    """Return the content of ``lab.yml``."""
    directory = lab.state / "keys"
    entrance = next(host.name for host in topology.hosts if "lb" in host.groups)
    return {
        "changeover_topology": topology.name,
        "changeover_private_network": str(subnet),
        "changeover_controller_address": gateway(subnet),
        "changeover_public_address": state.hosts[entrance].address,
        "changeover_known_hosts": str(lab.state / "known_hosts"),
        "changeover_deploy_user": "deploy",
        "changeover_deploy_key": str(directory / "deploy"),
        "changeover_deploy_public_key": public["deploy"],
        "changeover_signing_key": str(directory / "release"),
        "changeover_signers": [public["release"]],
        "changeover_tls": {
            "mode": "lab-ca",
            "ca_certificate": str(directory / "ca.pem"),
            "ca_key": str(directory / "ca.key"),
        },
        "changeover_backup_recipients": [public["age"]],
        "changeover_backup_identity": str(directory / "age-identity.txt"),
        "changeover_vault_password_file": str(directory / "vault-password"),
        **({"changeover_apps": list(state.apps)} if state.apps else {}),
        **substituted(lab.tracked, apps_of(lab, state), gateway(subnet)),
    }


def substituted(tracked: Path, apps: Iterable[str], controller: str) -> Variables:
    """Return the settings of apps in ``settings.yml`` with this lab's addresses filled in."""
    text = (tracked / "settings.yml").read_text()
    document: dict[str, dict[str, object]] = yaml.safe_load(text) or {}
    names = public_names(tracked)
    return {
        "changeover_settings": {
            app: {
                name: fill(value, controller, names.get(app, ""))
                for name, value in settings.items()
            }
            for app, settings in document.items()
            if app in apps
        }
    }


def public_names(tracked: Path) -> dict[str, str]:
    """Return each app's public name, as the tracked variables say it."""
    document = yaml.safe_load((tracked / "group_vars/all/main.yml").read_text())
    names: dict[str, str] = document["changeover_public_names"]
    return names


def fill(value: object, controller: str, public_name: str) -> object:
    """Fill ``{gateway}`` and ``{public_name}`` into a text; leave any other value alone."""
    if not isinstance(value, str):
        return value
    return value.replace("{gateway}", controller).replace("{public_name}", public_name)


class _IndentedDumper(yaml.SafeDumper):
    """Indents list items under their key, as yamllint asks of every file."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never write a list at its key's own indentation, whatever ``indentless`` says."""
        del indentless
        super().increase_indent(flow, indentless=False)
