"""A fleet of which one host fails or is lost: everything goes back, and what cannot is named."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Lab

pytestmark = pytest.mark.lab
APP_HOSTS = ("app1", "app2")
OLD, NEW = "old-live", "new-live"
UP_SECONDS = 60
# The timer's 120 s, the 16 s that a reload may wait, and as long as a way back may take.
DEADMAN_SECONDS = 200
CUT = "nft insert rule inet changeover input tcp dport 22 drop"
NAME = "nox.lab.test"
# With two hosts in use, this many would meet each of them.
ASKED = 8
STOP_NEW = "systemctl stop 'nox-api-*@8.0.0-*'"
Event = dict[str, Any]


def prepare(lab: Lab) -> None:
    """Keep the disks of the provisioned hosts with 7.0.0 live, and with 8.0.0 live."""
    env = ("--env", str(lab.inventory))
    lab.changeover("deploy", "7.0.0", "--yes", *env)
    lab.snapshot(OLD)
    serving(lab)
    lab.changeover("deploy", "8.0.0", "--yes", *env)
    lab.snapshot(NEW)


@pytest.fixture(scope="module")
def fleet(provisioned_fleet: Lab) -> Lab:
    """Return the fleet with both versions in snapshots."""
    prepare(provisioned_fleet)
    return provisioned_fleet


@pytest.fixture
def old(fleet: Lab) -> Lab:
    """Return the fleet with 7.0.0 live."""
    fleet.reset(OLD)
    serving(fleet)
    return fleet


@pytest.fixture
def new(fleet: Lab) -> Lab:
    """Return the fleet with 8.0.0 live and 7.0.0 the way back."""
    fleet.reset(NEW)
    serving(fleet)
    return fleet


def on_console(lab: Lab, host: str, command: str) -> str:
    """Run a command on a host without its network."""
    nspawn = lab.hosts[host]["pid"]
    init = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()[0]
    words = ("nsenter", "--target", init, "--all", "--", "sh", "-c", command)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def eventually(seconds: float, what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(1)


def serving(lab: Lab) -> None:
    """Wait until every host has booted and each app host serves."""
    for host in (*APP_HOSTS, "db1"):
        booted = on_console(lab, host, "systemctl is-system-running --wait; true")
        assert booted in {"running", "degraded"}, f"{host} is {booted}"
    socket = "if test -S /run/nox-api/current/http.sock; then echo up; else echo down; fi"
    for host in APP_HOSTS:
        up = lambda host=host: on_console(lab, host, socket) == "up"  # noqa: E731 - read once
        eventually(UP_SECONDS, f"{host} does not serve", up)


def cut(lab: Lab, host: str) -> None:
    """Drop whatever comes to a host's SSH, also what is open; users reach it all the same."""
    on_console(lab, host, CUT)


def mend(lab: Lab, host: str) -> None:
    """Let SSH through again, and end what waits for an answer: it would keep the old network alive."""
    on_console(
        lab, host, "systemctl reload nftables && ss --kill --tcp state connected sport = :22"
    )


def power_off(lab: Lab, host: str) -> None:
    """Take a host's power, and wait until it is gone."""
    on_console(lab, host, "systemctl poweroff --force --force &")
    eventually(UP_SECONDS, f"{host} is up", lambda: lab.hosts[host]["state"] != "running")


def live(lab: Lab) -> dict[str, str]:
    """Return the version that each app host sends users to."""
    link = "readlink /run/nox-api/current"
    return {host: on_console(lab, host, link).rpartition("-")[0] for host in APP_HOSTS}


def run(lab: Lab, *words: str, status: int) -> Event:
    """Run a verb that must end with a status; return the last object of its stream."""
    env = ("--env", str(lab.inventory), "--json")
    done = lab.changeover(*words, *env, status=status)
    last: Event = json.loads(done.stdout.splitlines()[-1])
    return last


def deploy(lab: Lab, step: str, act: Callable[[], object], *words: str) -> tuple[int, list[Event]]:
    """Deploy 8.0.0, do something when a step begins for the first time; return exit code and events.

    The controller stands still meanwhile, so that it is done before the step is.
    """
    events: list[Event] = []
    begun: set[str] = set()
    with lab.begin("deploy", "8.0.0", "--yes", *words, "--env", str(lab.inventory)) as process:
        try:
            for line in process.stdout or ():
                events.append(json.loads(line))
                if events[-1]["type"] == "step-intent" and step not in begun:
                    begun.add(str(events[-1]["step"]))
                    if step in begun:
                        process.send_signal(signal.SIGSTOP)
                        act()
                        process.send_signal(signal.SIGCONT)
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            raise
    return process.returncode, events


def answering(lab: Lab) -> set[str]:
    """Return the versions that users are answered by, on connections of their own."""
    address = lab.hosts["lb1"]["address"]
    ask = ("curl", "-skD", "-", "-o", "/dev/null", "--resolve", f"{NAME}:443:{address}")
    found = set()
    for _ in range(ASKED):
        words = (*ask, f"https://{NAME}/health")
        said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout
        release = re.search(r"^x-release: (.*)-", said, re.IGNORECASE | re.MULTILINE)
        found.add(release[1] if release else "nobody")
    return found


def test_a_host_that_is_lost_at_the_switch_meets_no_user_until_it_is_caught_up(old: Lab) -> None:
    """Neither its own boot nor one of HAProxy lets the old version through; then it is as the others."""
    code, events = deploy(old, "switch", lambda: cut(old, "app2"), "--unreachable", "skip")
    assert code == 0, events[-1]

    power_off(old, "app2")
    old.up("fleet")
    serving(old)
    on_console(old, "lb1", "systemctl restart haproxy")
    assert live(old) == {"app1": "8.0.0", "app2": "7.0.0"}
    assert answering(old) == {"8.0.0"}
    told = old.changeover("status", "--json", "--env", str(old.inventory)).stdout.splitlines()
    fenced = next(event for event in map(json.loads, told) if event["type"] == "fenced")
    assert (fenced["host"], fenced["answers"]) == ("app2", True)
    assert "catch-up" in run(old, "finalize", "--yes", "--early", "try", status=6)["next"]

    run(old, "catch-up", status=0)

    assert live(old) == {"app1": "8.0.0", "app2": "8.0.0"}
    on_console(old, "app1", "systemctl stop nginx")
    eventually(UP_SECONDS, "app2 does not serve", lambda: answering(old) == {"8.0.0"})
    on_console(old, "app1", "systemctl start nginx")
    run(old, "rollback", status=0)
    assert live(old) == {"app1": "7.0.0", "app2": "7.0.0"}


def test_a_rollback_needs_nothing_of_the_database_host(new: Lab) -> None:
    cut(new, "db1")

    end = run(new, "rollback", status=0)
    mend(new, "db1")

    assert live(new) == {"app1": "7.0.0", "app2": "7.0.0"}
    assert end["message"].startswith("7.0.0 serves again, proved. Not done: the lease on db1")


def test_a_lost_app_host_is_named_and_follows_when_it_answers(new: Lab) -> None:
    cut(new, "app2")

    error = run(new, "rollback", status=4)

    assert live(new) == {"app1": "7.0.0", "app2": "8.0.0"}
    assert error["host"] == "app2"
    assert error["message"].startswith("7.0.0 serves again on app1")
    assert "changeover rollback --to 7.0.0" in error["next"]

    mend(new, "app2")
    assert run(new, "rollback", "--to", "7.0.0", status=0)["outcome"] == "done"
    assert live(new) == {"app1": "7.0.0", "app2": "7.0.0"}


def test_one_host_whose_app_dies_after_the_switch_takes_all_back(old: Lab) -> None:
    code, events = deploy(old, "smoke", lambda: on_console(old, "app2", STOP_NEW))

    assert code == 3, events[-1]
    assert live(old) == {"app1": "7.0.0", "app2": "7.0.0"}
    assert "rolled back: 7.0.0 serves again, proved" in events[-1]["message"]
    for host in APP_HOSTS:
        assert "8.0.0" not in on_console(old, host, "systemctl list-units --plain 'nox-api-*'")


def test_one_host_that_is_lost_after_its_rename_goes_back_by_itself(old: Lab) -> None:
    code, events = deploy(old, "smoke", lambda: cut(old, "app2"))

    error = events[-1]
    assert (code, error["host"]) == (4, "app2"), error
    assert "7.0.0 serves again on app1" in error["message"]
    assert "goes back to 7.0.0 by itself within 152 s" in error["message"]
    assert live(old)["app1"] == "7.0.0"
    eventually(DEADMAN_SECONDS, "the dead-man did not act", lambda: live(old)["app2"] == "7.0.0")

    mend(old, "app2")
    assert run(old, "rollback", "--to", "7.0.0", status=0)["message"].startswith("nothing to do")


def test_a_host_that_boots_before_confirm_is_proved_and_holds_no_lease(old: Lab) -> None:
    code, events = deploy(old, "confirm", lambda: power_off(old, "app2"))

    error = events[-1]
    assert (code, error["host"]) == (4, "app2"), error
    old.up("fleet")
    serving(old)
    assert live(old) == {"app1": "7.0.0", "app2": "7.0.0"}

    assert "changeover rollback --to 7.0.0" in error["next"]
    assert (
        run(old, "rollback", "--to", "7.0.0", status=0)["message"] == "7.0.0 serves again, proved"
    )
    told = old.changeover("status", "--json", "--env", str(old.inventory)).stdout.splitlines()
    hosts = [event for event in map(json.loads, told) if event["type"] == "host"]
    assert [host["lock"] for host in hosts] == [None] * 4
