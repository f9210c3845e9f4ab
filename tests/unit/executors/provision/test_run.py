"""Ansible is really started: against a port where nobody listens, and with a broken playbook."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from changeover import inventory
from changeover.executors import provision
from changeover.executors.provision.command import arguments, process_environment

if TYPE_CHECKING:
    from changeover.inventory import Environment

CHECKOUT = Path(__file__).resolve().parents[4]
SECRET = "canary+secret/of=this~test"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a project with the real playbooks, roles and apps, and an environment of its own."""
    for name in ("playbooks", "roles", "templates", "apps", "ansible.cfg"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    (tmp_path / "pyproject.toml").symlink_to(CHECKOUT / "pyproject.toml")
    shutil.copytree(CHECKOUT / "inventories/example", tmp_path / "inventories/example")
    return tmp_path


def environment(root: Path, *, port: int = 1) -> Environment:
    hosts = root / "inventories/example/hosts.yml"
    document: dict[str, Any] = yaml.safe_load(hosts.read_text())
    document["all"]["vars"]["ansible_port"] = port
    for group in document["all"]["children"].values():
        for host in group["hosts"].values():
            host["ansible_host"] = "127.0.0.1"
    hosts.write_text(yaml.safe_dump(document))
    settings = root / "inventories/example/group_vars/all/main.yml"
    own = {"mode": "lab-ca", "ca_certificate": f"{root}/ca.pem", "ca_key": f"{root}/ca.key"}
    settings.write_text(
        yaml.safe_dump(yaml.safe_load(settings.read_text()) | {"changeover_tls": own})
    )
    return inventory.load("example", root=root)


def nobody_listens() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_host_that_does_not_answer_is_named_with_the_cause(root: Path) -> None:
    events: list[dict[str, Any]] = []
    where = environment(root, port=nobody_listens())

    with pytest.raises(provision.HostsUnreachable) as failure:
        provision.provision(where, limit=["db1"], report=events.append)

    assert failure.value.host == "db1"
    assert "Connection refused" in (failure.value.cause or "")
    assert "changeover provision --env example --limit db1" in failure.value.hint
    assert {event["host"] for event in events if event["type"] == "provision-task"} == {"db1"}


def test_a_limit_that_is_no_host_is_refused_before_anything_starts(root: Path) -> None:
    with pytest.raises(provision.LimitUnknown, match="no host and no group web9") as failure:
        provision.provision(environment(root), limit=["web9"], report=lambda _: None)

    assert "app1" in failure.value.hint
    assert failure.value.exit_code == 2


def test_a_playbook_that_cannot_be_used_says_why(root: Path) -> None:
    (root / "playbooks").unlink()
    (root / "playbooks").mkdir()
    (root / "playbooks/provision.yml").write_text("- hosts: all\n  roles: [nowhere]\n")

    with pytest.raises(provision.ProvisioningBroken) as failure:
        provision.provision(environment(root), report=lambda _: None)

    assert "nowhere" in (failure.value.cause or "")


def test_secrets_are_taken_out_of_what_is_reported(root: Path) -> None:
    (root / "playbooks").unlink()
    (root / "playbooks").mkdir()
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{"name": "Tell", "ansible.builtin.debug": {"msg": f"it is {SECRET}"}}],
    }
    (root / "playbooks/provision.yml").write_text(json.dumps([play]))
    seal(root)
    events: list[dict[str, Any]] = []

    provision.provision(environment(root), report=events.append)

    assert any("[REDACTED]" in str(event.get("message")) for event in events)
    assert SECRET not in json.dumps(events)


def seal(root: Path) -> None:
    from ansible.parsing.vault import VaultLib, VaultSecret  # noqa: PLC0415 - slow to import

    variables = root / "inventories/example/group_vars/all"
    (root / "password").write_text("sesame\n")
    (variables / "password.yml").write_text("changeover_vault_password_file: password\n")
    sealed = VaultLib([("default", VaultSecret(b"sesame"))]).encrypt(
        json.dumps({"changeover_secrets": {"nox-api": {"JWT_SECRET": SECRET}}})
    )
    (variables / "vault.yml").write_bytes(sealed)


def test_a_check_changes_nothing_and_asks_for_differences(root: Path) -> None:
    words = arguments(environment(root), limit=["app", "db1"], check=True)

    assert words[-2:] == ["--check", "--diff"]
    assert words[words.index("--limit") + 1] == "app,db1"
    assert "--check" not in arguments(environment(root), limit=[], check=False)


def test_the_vaults_password_file_is_the_environments_unless_one_is_named(root: Path) -> None:
    seal(root)
    where = environment(root)

    assert process_environment(where, {})["ANSIBLE_VAULT_PASSWORD_FILE"] == str(root / "password")
    named = process_environment(where, {"ANSIBLE_VAULT_PASSWORD_FILE": "/other"})
    assert named["ANSIBLE_VAULT_PASSWORD_FILE"] == "/other"
