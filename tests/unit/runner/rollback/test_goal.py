"""Where a rollback goes that comes after one that was cut off while it placed a version again."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover import steps
from changeover.runner.fleet import survey
from changeover.runner.rollback import back, goal
from changeover.runner.rollback import ends as way_ends
from changeover.runner.rollback.way import Way

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

OLDER, AGAIN = "0.9.0-99999999", "1.0.0-cccccccc"


@pytest.mark.parametrize("placed", [OLD, AGAIN, OLDER])
def test_what_is_placed_again_on_one_host_alone_is_placed_on_all_of_them(
    desk: Desk, machines: Machines, placed: str
) -> None:
    for name in ("one", "two"):
        machines[name].placed, machines[name].history = [NEW], [OLDER, OLD]
    machines["one"].placed.append(placed)
    run = desk.run()

    with pytest.raises(goal.NotPlaced) as caught:
        goal.choose(survey.look(run.fleet, run.app_hosts).apps, None, "demo")

    assert caught.value.version == "1.0.0"


@pytest.mark.parametrize(
    ("at", "named"), [("lock", "1.0.0"), ("place", "1.0.0"), ("revert", AGAIN)]
)
def test_an_interrupt_names_what_the_next_rollback_can_go_to(
    desk: Desk, machines: Machines, at: str, named: str
) -> None:
    for name in ("one", "two"):
        machines[name].placed = [NEW]
    run = desk.run()
    place = steps.Place(id="place", hosts=("one", "two"), colour=AGAIN, digest="", bundle="")
    way = Way(run, survey.look(run.fleet, run.lease_hosts), AGAIN, placing=(place,), at=at)

    error = way_ends.interrupted(way)

    assert error.hint == f"changeover rollback --to {named} --env demo goes on"
    assert failed(lambda: goal.choose(way.seen.apps, "1.0.0", "demo")).exit_code == 2


def test_a_lease_of_a_rollback_that_may_live_names_what_can_be_gone_to(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].placed, machines[name].history = [NEW], [OLD]
    beat = dt.datetime.now(dt.UTC).isoformat()
    machines["one"].lock = {
        "owner": "ann@desk",
        "reason": f"rollback {NEW} -> {AGAIN}",
        "heartbeat": beat,
        "silent": 1.0,
    }

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))

    assert ", then changeover rollback --to 1.0.0 --env demo where it is gone" in error.hint


def test_a_rollback_in_a_canary_that_was_cut_off_tells_who_is_on_the_new_version(
    desk: Desk, machines: Machines
) -> None:
    """Nobody was switched: `rollback` would leave the old version as well."""
    machines.before_deployment()
    run = desk.run()
    lock = {"reason": "deploy 3.0.0", "owner": "a", "expired": True}
    states = [
        replace(state, lock=lock, canary={"colour": NEW, "percent": 25, "deployment": "d"})
        for state in survey.look(run.fleet, run.app_hosts).apps
    ]

    error = failed(lambda: goal.choose(states, None, "demo"))

    assert "25% of the clients are on 3.0.0 until abort" in error.message
    assert str(error.hint).startswith("changeover abort --env demo")


def test_where_nothing_is_live_a_deployment_is_named_and_no_version_to_go_back_to(
    desk: Desk,
) -> None:
    run = desk.run()
    states = [
        replace(state, live=None, previous=None, placed=(), history=())
        for state in survey.look(run.fleet, run.app_hosts).apps
    ]

    error = failed(lambda: goal.choose(states, None, "demo"))

    assert (error.exit_code, error.hint) == (2, "changeover deploy VERSION --env demo")
    assert error.message == "nothing is live, so there is nothing to go back from"
