"""What the lab promises: hosts that answer, disks that come back, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from changeover.inventory import load
from changeover.lab.identity import CACHE_DIRECTORY, STATE_DIRECTORY, identify
from changeover.lab.processes import start_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.lab.identity import Identity

    from .conftest import Lab

    MakeLab = Callable[..., Lab]

pytestmark = pytest.mark.lab
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make_lab(lab_single: Lab) -> Iterator[MakeLab]:
    """Return a maker of further labs; those it made are purged."""
    made: list[Lab] = []

    def make(purpose: str, **environment: str) -> Lab:
        name = lab_single.name.replace("single", purpose)
        made.append(type(lab_single)(name, environment))
        made[-1].purge()
        return made[-1]

    yield make
    for lab in made:
        lab.purge()


def identity(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Identity:
    monkeypatch.setenv("CHANGEOVER_LAB", lab.name)
    return identify(CHECKOUT)


def processes_naming(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if text in words:
                    found.append(f"{entry.name} {words}")
    return found


def traces(one: Identity, hosts: list[str]) -> list[str]:
    """Return every mount, link, process, control group and lock that belongs to a lab."""
    machines = [one.machine(host) for host in hosts]
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if one.name in line]
    found += [link.name for link in Path("/sys/class/net").iterdir() if link.name == one.bridge]
    for machine in machines:
        found += [link.name for link in Path("/sys/class/net").glob(f"vb-{machine}*")]
        found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/changeover-{machine}")]
        found += [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/{machine}")]
        found += processes_naming(machine)
    found += [str(path) for path in Path("/run/lock").glob(f"changeover-lab-{one.name}*")]
    return found


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
    finally:
        lab_single.reset("fresh")
    assert lab_single.ssh("host1", "echo here") == "here"


def test_ansible_reads_the_inventory_and_opens_the_vault(lab_fleet: Lab) -> None:
    inventory = lab_fleet.inventory
    listed = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-inventory")),
            *("-i", str(inventory / "hosts.yml"), "--list", "--vault-password-file"),
            str(STATE_DIRECTORY / lab_fleet.name / "keys" / "vault-password"),
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


def test_two_ups_at_once_make_one_lab(make_lab: MakeLab) -> None:
    lab = make_lab("race")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.up, ("single", "single")))
    assert lab.hosts["host1"]["state"] == "running"
    machine = f"--machine={identify_machine(lab)}"
    assert len([line for line in processes_naming(machine) if "systemd-nspawn" in line]) == 1


def identify_machine(lab: Lab) -> str:
    with pytest.MonkeyPatch.context() as patch:
        return identity(lab, patch).machine("host1")


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
    secrets = (STATE_DIRECTORY / lab.name / "secrets.json").read_bytes()
    vault = (lab.inventory / "group_vars/all/vault.yml").read_bytes()
    lab.changeover("lab", "down")
    assert lab.hosts["host1"]["state"] == "stopped"
    lab.changeover("lab", "up")
    assert lab.ssh("host1", "cat /root/kept") == "kept"
    assert (STATE_DIRECTORY / lab.name / "secrets.json").read_bytes() == secrets
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


def test_two_labs_do_not_meet(lab_single: Lab, make_lab: MakeLab) -> None:
    other = make_lab("other")
    other.up("single")
    ours, theirs = lab_single.status(), other.status()
    assert not IPv4Network(ours["subnet"]).overlaps(IPv4Network(theirs["subnet"]))
    for lab in (lab_single, other):
        lab.ssh("host1", "systemd-run --quiet --unit=both sleep 600")
    began = time.monotonic()
    lab_single.ssh("host1", "systemctl stop both")
    assert time.monotonic() - began < 10
    assert other.ssh("host1", "systemctl is-active both") == "active"
    other.changeover("lab", "down")
    assert lab_single.ssh("host1", "echo here") == "here"


def test_what_a_cut_off_machine_left_is_cleared_and_no_stranger_is_touched(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab("stale")
    lab.up("single")
    lab.ssh("host1", "echo kept > /root/kept; sync")
    one = identity(lab, monkeypatch)
    lab.changeover("lab", "down")
    root = one.state / "hosts/host1/root"
    subprocess.run(["mount", "-t", "tmpfs", "stale", str(root)], check=True, timeout=10)
    subprocess.run(["ip", "link", "add", one.bridge, "type", "bridge"], check=True, timeout=10)
    link = f"vb-{one.machine('host1')}"
    subprocess.run(["ip", "link", "add", link, "type", "bridge"], check=True, timeout=10)
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        state = json.loads((one.state / "state.json").read_text())
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        process = {"pid": stranger.pid, "started": 1, "boot": boot}
        state["hosts"]["host1"]["process"] = process
        (one.state / "state.json").write_text(json.dumps(state))
        lab.changeover("lab", "up")
        assert lab.ssh("host1", "cat /root/kept") == "kept"
        assert stranger.poll() is None
        lab.changeover("lab", "down")
        assert traces(one, ["host1"]) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(10)


def test_down_leaves_no_mount_link_process_or_lock(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab("down")
    lab.up("fleet")
    one = identity(lab, monkeypatch)
    hosts = list(lab.hosts)
    companions = [entry["pid"] for entry in lab.status()["companions"]]
    assert traces(one, hosts) != []
    lab.changeover("lab", "down")
    assert traces(one, hosts) == []
    assert [pid for pid in companions if start_time(pid) is not None] == []
    assert one.state.is_dir()


def test_purge_leaves_no_file_and_the_cache_goes_with_the_last_lab(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache, states = tmp_path / "cache", tmp_path / "states"
    cache.mkdir()
    for built in CACHE_DIRECTORY.iterdir():
        if built.name.startswith(("image-", "mirror-")):
            subprocess.run(["cp", "-a", "--link", str(built), str(cache)], check=True, timeout=60)
    places = {"CHANGEOVER_LAB_CACHE": str(cache), "CHANGEOVER_LAB_STATE": str(states)}
    first, second = make_lab("purge", **places), make_lab("last", **places)
    first.up("single")
    second.up("single")
    ones = [identity(lab, monkeypatch) for lab in (first, second)]
    first.changeover("lab", "down", "--purge")
    assert cache.is_dir()
    assert [path.name for path in states.iterdir()] == [second.name]
    assert second.ssh("host1", "echo here") == "here"
    second.changeover("lab", "down", "--purge")
    assert list(tmp_path.iterdir()) == []
    assert [trace for one in ones for trace in traces(one, ["host1"])] == []


SERVER = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["SAYS"].encode())
http.server.HTTPServer((os.environ["LISTEN"], 9401), Handler).serve_forever()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose lab has one companion of its own."""
    tracked = tmp_path / "inventories/lab"
    skip = shutil.ignore_patterns("hosts.yml", "lab.yml", "vault.yml")
    shutil.copytree(CHECKOUT / "inventories/lab", tracked, ignore=skip)
    (tmp_path / "server.py").write_text(SERVER)
    declare(tracked, "{public_name} {gateway}")
    return tmp_path


def declare(tracked: Path, says: object) -> None:
    companion = {
        "app": "nox-api",
        "command": ["python3", "server.py"],
        "port": 9401,
        "environment": {"LISTEN": "{gateway}", "SAYS": says},
    }
    document = {"companions": {"speaker": companion}}
    (tracked / "companions.yml").write_text(yaml.safe_dump(document))


def test_a_companion_serves_the_hosts_and_follows_its_declaration(
    make_lab: MakeLab, project: Path
) -> None:
    lab = make_lab("mate", CHANGEOVER_ROOT=str(project))
    lab.up("single")
    gateway = str(IPv4Network(lab.status()["subnet"])[1])
    ask = (
        "python3 -c 'import urllib.request as u; "
        f'print(u.urlopen("http://{gateway}:9401").read().decode())\''
    )
    assert lab.ssh("host1", ask) == f"nox.lab.test {gateway}"
    (process,) = (entry["pid"] for entry in lab.status()["companions"])
    lab.up("single")
    assert [entry["pid"] for entry in lab.status()["companions"]] == [process]
    declare(project / "inventories/lab", {"secret": ["nox-api", "JWT_SECRET"]})
    lab.up("single")
    drawn = json.loads((STATE_DIRECTORY / lab.name / "secrets.json").read_text())
    assert lab.ssh("host1", ask) == drawn["changeover_secrets"]["nox-api"]["JWT_SECRET"]
    assert start_time(process) is None


def test_a_companion_that_ends_is_told_with_its_last_words(
    make_lab: MakeLab, project: Path
) -> None:
    (project / "server.py").write_text("raise SystemExit('no such port')")
    lab = make_lab("mate", CHANGEOVER_ROOT=str(project))
    failed = lab.changeover("lab", "up", status=1)
    assert "speaker" in failed.stderr
    assert "no such port" in failed.stderr
    assert lab.hosts["host1"]["state"] == "running"
