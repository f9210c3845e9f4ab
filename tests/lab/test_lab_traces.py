"""What the lab promises of the machine it is on: labs do not meet, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover.lab.processes import start_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Lab

    MakeLab = Callable[..., Lab]


pytestmark = pytest.mark.lab


def test_two_ups_at_once_make_one_lab(make_lab: MakeLab) -> None:
    lab = make_lab("race")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.up, ("single", "single")))
    assert lab.hosts["host1"]["state"] == "running"
    assert len([trace for trace in lab.traces(["host1"]) if "systemd-nspawn" in trace]) == 1


def test_two_labs_do_not_meet(lab_single: Lab, make_lab: MakeLab) -> None:
    other = make_lab("other")
    other.up("single")
    ours, theirs = lab_single.status(), other.status()
    assert not IPv4Network(ours["subnet"]).overlaps(IPv4Network(theirs["subnet"]))
    for lab in (lab_single, other):
        lab.ssh("host1", "systemd-run --quiet --unit=both sleep 600")
    members = "cat $(find /sys/fs/cgroup -path '*/both.service/cgroup.procs')"
    # a process of another host, in a group of the same name, would be listed as 0
    assert "0" not in lab_single.ssh("host1", members).split()
    lab_single.ssh("host1", "systemctl stop both")
    assert other.ssh("host1", "systemctl is-active both") == "active"
    other.changeover("lab", "down")
    assert lab_single.ssh("host1", "echo here") == "here"


def test_what_a_cut_off_machine_left_is_cleared_and_no_stranger_is_touched(
    make_lab: MakeLab,
) -> None:
    lab = make_lab("stale")
    lab.up("single")
    lab.ssh("host1", "echo kept > /root/kept; sync")
    one = lab.identity
    lab.changeover("lab", "down")
    root = one.state / "hosts/host1/root"
    subprocess.run(["mount", "-t", "tmpfs", "left", str(root)], check=True, timeout=10)
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
        assert [trace for trace in lab.traces([]) if trace.startswith("left ")] == []
        assert stranger.poll() is None
        lab.changeover("lab", "down")
        assert lab.traces(["host1"]) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(10)


def test_down_leaves_no_mount_link_process_or_lock(make_lab: MakeLab) -> None:
    lab = make_lab("down")
    lab.up("fleet")
    one = lab.identity
    hosts = list(lab.hosts)
    companions = [entry["pid"] for entry in lab.status()["companions"]]
    assert lab.traces(hosts) != []
    lab.changeover("lab", "down")
    assert lab.traces(hosts) == []
    assert [pid for pid in companions if start_time(pid) is not None] == []
    assert one.state.is_dir()


def test_purge_leaves_no_file_and_the_cache_goes_with_the_last_lab(
    make_lab: MakeLab, copied_cache: Path, tmp_path: Path
) -> None:
    cache, states = copied_cache, tmp_path / "states"
    places = {"CHANGEOVER_LAB_CACHE": str(cache), "CHANGEOVER_LAB_STATE": str(states)}
    first, second = make_lab("purge", **places), make_lab("last", **places)
    first.up("single")
    second.up("single")
    first.changeover("lab", "down", "--purge")
    assert cache.is_dir()
    assert [path.name for path in states.iterdir()] == [second.name]
    assert second.ssh("host1", "echo here") == "here"
    second.changeover("lab", "down", "--purge")
    assert list(tmp_path.iterdir()) == []
    assert first.traces(["host1"]) + second.traces(["host1"]) == []
