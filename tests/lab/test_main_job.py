"""The main job end to end on lab hosts, as the demo runs it: nothing is lost, everything comes back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Lab

pytestmark = pytest.mark.lab
CHECKOUT = Path(__file__).resolve().parents[2]


def run_main_job(lab: Lab) -> str:
    done = subprocess.run(
        [sys.executable, "scripts/main_job.py", "--env", str(lab.inventory)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def states(lab: Lab) -> dict[str, dict[str, object]]:
    lines = lab.changeover("status", "--env", str(lab.inventory), "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    return {entry["host"]: entry for entry in found if entry["type"] == "host"}


def prove(lab: Lab) -> None:
    """Run the main job and hold what it printed, and what the hosts say, to its promises."""
    said = run_main_job(lab)
    match = re.search(
        r"requests sent (\d+), failed (\d+), acknowledged writes without a row (\d+)", said
    )
    assert match is not None, said[-2000:]
    sent, failed, lost = (int(number) for number in match.groups())
    assert sent > 1000
    assert (failed, lost) == (0, 0)
    assert "rolled back: 8.0.0 serves again, proved" in said

    app_hosts = [state for state in states(lab).values() if "app" in list(state["groups"])]  # type: ignore[call-overload]
    live = {str(state["live"]) for state in app_hosts}
    assert len(live) == 1
    assert live.pop().startswith("7.0.0-")
    assert all(state["live"] == state["confirmed"] for state in app_hosts)
    assert all(state["lock"] is None for state in states(lab).values())


def test_one_host_moves_forward_survives_a_broken_release_and_goes_back(
    provisioned_single: Lab,
) -> None:
    prove(provisioned_single)


def test_a_fleet_moves_as_one(provisioned_fleet: Lab) -> None:
    prove(provisioned_fleet)

    outside = provisioned_fleet.ssh("lb1", "systemctl is-active haproxy")
    assert outside == "active"


def test_after_a_reboot_the_confirmed_release_serves(provisioned_single: Lab) -> None:
    before = states(provisioned_single)["host1"]["live"]
    provisioned_single.changeover("lab", "down")
    provisioned_single.changeover("lab", "up", "--topology", "single")

    assert states(provisioned_single)["host1"]["live"] == before
    provisioned_single.changeover("smoke", "--env", str(provisioned_single.inventory))
