"""A host that a person fences: by the balancers alone, never the last one, back by catch-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.fleet.test_away import FENCE, context, fenced, old_is_live

from changeover.runner.fleet import catch_up, fencing

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

__all__ = ["old_is_live"]


def test_users_are_kept_from_it_and_it_comes_back_by_catch_up(
    desk: Desk, machines: Machines
) -> None:
    outcome = fencing.fence(context(desk, "fail"), "two", "answers 500")

    assert outcome.says == "no user gets to two at edge"
    assert machines["edge"].fenced["two"]["why"] == "answers 500"
    assert all(machines[name].lock is None for name in ("one", "two", "three", "edge"))
    assert set(machines["two"].asked) == {"state"}
    assert catch_up.catch_up(context(desk, "fail"), "two") is not None
    assert fenced(machines) == []


@pytest.mark.parametrize("gone", ["two", "three"])
def test_neither_the_host_nor_the_database_has_to_answer(
    desk: Desk, machines: Machines, gone: str
) -> None:
    machines[gone].lose()

    fencing.fence(context(desk, "fail"), "two", "")

    assert fenced(machines) == ["two"]


def test_the_last_host_that_users_get_to_is_not_fenced(desk: Desk, machines: Machines) -> None:
    machines["edge"].fenced = {"one": FENCE}

    error = failed(lambda: fencing.fence(context(desk, "fail"), "two", ""))

    assert (error.exit_code, fenced(machines)) == (6, ["one"])
    assert "changeover maintenance on" in error.hint
    machines["edge"].fenced = {}
    machines["one"].lose()
    assert failed(lambda: fencing.fence(context(desk, "fail"), "two", "")).exit_code == 6
    assert fenced(machines) == []


def test_who_is_no_app_host_or_has_no_balancer_is_refused(desk: Desk, machines: Machines) -> None:
    assert failed(lambda: fencing.fence(context(desk), "three", "")).exit_code == 2

    error = failed(lambda: fencing.fence(desk.context, "two", ""))

    assert error.exit_code == 2
    assert "no balancer" in error.message
    assert fenced(machines) == []


def test_a_deployment_that_is_under_way_is_not_disturbed(desk: Desk, machines: Machines) -> None:
    machines["one"].lock = {"owner": "ann", "reason": "deploy 3.0.0"}

    error = failed(lambda: fencing.fence(context(desk, "fail"), "two", ""))

    assert (error.exit_code, fenced(machines)) == (5, [])


def test_a_balancer_that_refuses_ends_it_red(desk: Desk, machines: Machines) -> None:
    machines["edge"].on("fence", lambda: machines["edge"].refuse("balancer-unknown-host"))

    error = failed(lambda: fencing.fence(context(desk, "fail"), "two", ""))

    assert (error.exit_code, fenced(machines)) == (1, [])
    assert machines["edge"].lock is None
