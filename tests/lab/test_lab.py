"""What the lab promises of its hosts: they answer, and their disks come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from changeover.inventory import load
from changeover.lab.network import LINKS
from changeover.lab.processes import kill_tree, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Lab

    MakeLab = Callable[..., Lab]


pytestmark = pytest.mark.lab


def test_hosts_answer_ssh_under_the_keys_that_the_lab_wrote(lab_single: Lab) -> None:
    environment = load(str(lab_single.inventory))
    variables = yaml.safe_load((lab_single.inventory / "hosts.yml").read_text())["all"]["vars"]
    address = lab_single.hosts["host1"]["address"]
    command = [
        "ssh",
        *variables["ansible_ssh_common_args"].split(),
        *("-o", "BatchMode=yes", "-i", variables["ansible_ssh_private_key_file"]),
        f"{variables['ansible_user']}@{address}",
        "hostname; cat /proc/1/comm",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert answer.stdout.split() == ["host1", "systemd"]
    assert {host.name for host in environment.hosts} == {"host1"}


def test_a_host_with_another_key_is_refused(lab_single: Lab) -> None:
    lab_single.ssh(
        "host1",
        "rm /etc/ssh/ssh_host_ed25519_key*; "
        "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh",
    )
    try:
        refused = lab_single.changeover("lab", "ssh", "host1", "--", "true", status=None)
        assert refused.returncode == 255
        assert "Host key verification failed" in refused.stderr
    finally:
        lab_single.reset("fresh")
    assert lab_single.ssh("host1", "echo here") == "here"


def test_ansible_reads_the_inventory_and_opens_the_vault(lab_fleet: Lab) -> None:
    inventory = lab_fleet.inventory
    listed = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-inventory")),
            *("-i", str(inventory / "hosts.yml"), "--list", "--vault-password-file"),
            str(lab_fleet.identity.state / "keys" / "vault-password"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer = json.loads(listed.stdout)
    groups = {name: answer[name]["hosts"] for name in ("lb", "app", "db", "cache")}
    assert groups == {"lb": ["lb1"], "app": ["app1", "app2"], "db": ["db1"], "cache": ["db1"]}
    variables = answer["_meta"]["hostvars"]["lb1"]
    assert variables["changeover_public_address"] == variables["ansible_host"]
    assert len(variables["changeover_database_passwords"]["nox-api"]["owner"]) == 64
    vault = (inventory / "group_vars/all/vault.yml").read_text()
    assert vault.startswith("$ANSIBLE_VAULT;")


def test_hosts_reach_each_other_and_nothing_beyond(lab_fleet: Lab) -> None:
    database = lab_fleet.hosts["db1"]["address"]
    greeting = lab_fleet.ssh("app1", f"timeout 5 head -c 4 < /dev/tcp/{database}/22")
    assert greeting == "SSH-"
    assert lab_fleet.ssh("app1", "ip route show default") == ""


def test_packages_install_without_a_network(lab_single: Lab) -> None:
    lab_single.ssh("host1", "apt-get -qq update && apt-get -qq -y install jq >/dev/null 2>&1")
    assert lab_single.ssh("host1", "echo '{\"a\": 3}' | jq .a") == "3"


def test_up_again_leaves_running_hosts_alone(lab_fleet: Lab) -> None:
    before = {name: host["pid"] for name, host in lab_fleet.hosts.items()}
    lab_fleet.up("fleet")
    assert {name: host["pid"] for name, host in lab_fleet.hosts.items()} == before


def test_reset_brings_files_back_and_takes_new_ones_away(lab_single: Lab) -> None:
    lab_single.reset("fresh")
    lab_single.ssh("host1", "echo kept > /root/kept")
    lab_single.snapshot("kept")
    lab_single.ssh("host1", "rm /root/kept; touch /root/new; rm -r /etc/ssh/sshd_config.d")
    lab_single.reset("kept")
    assert lab_single.ssh("host1", "cat /root/kept; ls /root") == "kept\nkept"
    assert lab_single.ssh("host1", "test -d /etc/ssh/sshd_config.d && echo there") == "there"
    lab_single.reset("fresh")
    assert lab_single.ssh("host1", "ls /root") == ""
    lab_single.reset("kept")
    assert lab_single.ssh("host1", "cat /root/kept") == "kept"


def test_reset_takes_a_link_away_that_a_killed_host_left(lab_single: Lab) -> None:
    assert kill_tree(record(lab_single.hosts["host1"]["pid"]), 10)
    link = f"vb-{lab_single.identity.machine('host1')}"
    deadline = time.monotonic() + 10
    while (LINKS / link).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    subprocess.run(["ip", "link", "add", link, "type", "bridge"], check=True, timeout=10)

    lab_single.reset("fresh")

    assert lab_single.ssh("host1", "echo here") == "here"


def test_an_unknown_snapshot_is_refused_and_hosts_go_on(lab_single: Lab) -> None:
    before = lab_single.hosts["host1"]["pid"]
    refused = lab_single.changeover("lab", "reset", "nosuch", status=2)
    assert "nosuch" in refused.stderr
    assert "fresh" in refused.stderr
    assert lab_single.hosts["host1"]["pid"] == before


def test_disks_and_secrets_outlive_down(make_lab: MakeLab) -> None:
    lab = make_lab("disk")
    lab.up("single")
    lab.ssh("host1", "echo kept > /root/kept")
    secrets = (lab.identity.state / "secrets.json").read_bytes()
    vault = (lab.inventory / "group_vars/all/vault.yml").read_bytes()
    lab.changeover("lab", "down")
    assert lab.hosts["host1"]["state"] == "stopped"
    lab.changeover("lab", "up")
    assert lab.ssh("host1", "cat /root/kept") == "kept"
    assert (lab.identity.state / "secrets.json").read_bytes() == secrets
    assert (lab.inventory / "group_vars/all/vault.yml").read_bytes() == vault


def test_a_host_that_died_is_started_again_with_its_disk(lab_fleet: Lab) -> None:
    lab_fleet.ssh("app2", "echo kept > /root/kept; sync")
    before = lab_fleet.hosts
    os.kill(before["app2"]["pid"], signal.SIGKILL)
    time.sleep(0.5)
    assert lab_fleet.hosts["app2"]["state"] == "stopped"
    lab_fleet.changeover("lab", "up")
    after = lab_fleet.hosts
    assert after["app2"]["state"] == "running"
    assert after["app1"]["pid"] == before["app1"]["pid"]
    assert lab_fleet.ssh("app2", "cat /root/kept") == "kept"


def test_hosts_whose_bridge_vanished_are_attached_again(lab_single: Lab) -> None:
    one = lab_single.identity
    subprocess.run(["ip", "link", "delete", one.bridge], check=True, timeout=10)
    assert lab_single.hosts["host1"]["state"] == "booting"
    lab_single.changeover("lab", "up")
    assert lab_single.ssh("host1", "echo here") == "here"


def test_a_longer_list_of_packages_reaches_hosts_that_run(
    make_lab: MakeLab, project: Path, copied_cache: Path
) -> None:
    listed = project / "inventories/lab/packages.txt"
    listed.write_text("jq\n")
    lab = make_lab("list", CHANGEOVER_ROOT=str(project), CHANGEOVER_LAB_CACHE=str(copied_cache))
    lab.up("single")
    assert lab.ssh("host1", "ls /srv/apt | grep -c ^acl_ || true") == "0"
    listed.write_text("jq\nacl\n")
    lab.up("single")
    lab.ssh("host1", "apt-get -qq update && apt-get -qq -y install acl >/dev/null 2>&1")
    assert lab.ssh("host1", "command -v getfacl") == "/usr/bin/getfacl"
