"""Faults of the platform while users write: databases restarted, disks filled, clocks that are wrong, rivals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.drill.faults import FAULTS
from changeover.drill.trial import run

from . import skew

if TYPE_CHECKING:
    from .conftest import Ground

pytestmark = pytest.mark.lab
# Seconds between the controller's clock and a host's; far more than a lease lives.
SKEW = 1200


def drill(ground: Ground, *words: str, status: int) -> list[dict[str, Any]]:
    """Run a drill as a user would and return what it told."""
    env = ("--env", str(ground.lab.identity.inventory), "--yes", "--json")
    done = ground.controller.changeover("drill", *words, *env, status=status)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_migrations_outlive_a_restart_of_their_database(fresh: Ground) -> None:
    restart = next(each for each in FAULTS if each.name == "restart-database-at-start")

    trial = run(fresh.setting("8.0.0"), replace(restart, step="expand"), lambda _: None)

    assert trial.red == [], trial.as_json()
    assert trial.judgement
    assert trial.judgement.acknowledged == trial.judgement.rows


def test_a_drill_of_a_full_disk_is_green_and_tells_what_it_came_to(ground: Ground) -> None:
    told = drill(ground, "7.0.1", "--fault", "fill-disk", status=0)

    trial = next(event for event in told if event["type"] == "drill")
    assert trial["ok"]
    full = trial["commands"][0]
    assert full["exit"] == 1
    assert "the disk of /opt/nox-api/releases is full" in full["message"]
    assert full["message"].endswith("7.0.0 serves, nothing is half done")
    assert trial["history"]["acknowledged"] == trial["history"]["rows"] > 0


def test_a_drill_is_red_where_a_deployment_ends_otherwise_than_its_fault_allows(
    ground: Ground,
) -> None:
    told = drill(ground, "7.0.4", "--fault", "two-controllers", status=6)

    trial = next(event for event in told if event["type"] == "drill")
    assert not trial["ok"]
    rival, *_ = trial["commands"]
    assert rival["exit"] == 5
    assert "holds the lock" in rival["message"]
    assert any("deploy ended with exit 3, not 0" in why for why in trial["red"])
    assert told[-1]["message"] == "red: two-controllers"


@pytest.mark.parametrize("seconds", [SKEW, -SKEW], ids=["ahead", "behind"])
def test_a_hosts_clock_that_is_wrong_moves_no_lease_and_no_user(
    ground: Ground, seconds: int
) -> None:
    cut = next(each for each in FAULTS if each.name == "kill-after-switch")
    skew.skew_agent(ground.lab, "host1", seconds)
    try:
        trial = run(ground.setting("8.0.0"), replace(cut, name="clock-skew"), lambda _: None)
    finally:
        skew.mend_agent(ground.lab, "host1")

    assert trial.red == [], trial.as_json()
