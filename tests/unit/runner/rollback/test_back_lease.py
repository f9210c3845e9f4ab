"""Rollback and who holds the lease: a deployment under way, one that is gone, a rollback cut off."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.errors import LockHeld
from changeover.runner.lease import holder
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines


def rollback(desk: Desk, to: str | None = None, backup: str | None = None) -> str:
    return str(back.rollback(desk.context, to=to, backup=backup)["message"])


def lease(reason: str, seconds: float) -> dict[str, str]:
    """Return a lease whose controller was heard of so long ago."""
    beat = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
    return {"owner": "ann@desk", "reason": reason, "heartbeat": beat.isoformat()}


def test_what_is_typed_where_a_deployment_is_gone_names_the_environment_each_time() -> None:
    assert holder.waiting({"reason": "deploy 3.0.0"}, "demo").endswith(
        "changeover resume --env demo goes on, changeover abort --env demo takes it back"
    )


def test_a_deployment_under_way_is_not_taken_for_one_that_ended(
    desk: Desk, machines: Machines
) -> None:
    machines.before_deployment()
    for name in ("one", "two", "three"):
        machines[name].lock = lease("deploy 3.0.0", 10)

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.message == "ann@desk held the lease 10 s ago: deploy 3.0.0"
    assert "changeover abort --force --env demo" in error.hint
    assert {name for _, name in machines.order} == {"state"}


@pytest.mark.parametrize(
    ("reason", "following"),
    [
        (f"rollback {NEW} -> {OLD}", f", then changeover rollback --to {OLD} --env demo where"),
        ("backup create", " where"),
    ],
)
def test_a_lease_without_a_deployment_is_not_said_to_be_aborted(
    desk: Desk, machines: Machines, reason: str, following: str
) -> None:
    machines["one"].lock = lease(reason, 10)

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.hint == (
        'wait 45 s, or changeover lock steal --reason "it is gone" --env demo'
        f"{following} it is gone for certain"
    )


def test_a_controller_whose_clock_is_ahead_does_not_take_over_a_living_deployment(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = {**lease("deploy 3.0.0", 600), "silent": 10.0}

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.message == "ann@desk held the lease 10 s ago: deploy 3.0.0"
    assert machines.live == [NEW, NEW]


def test_the_lease_of_a_deployment_whose_controller_is_gone_is_taken_over(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = lease("deploy 3.0.0", 50)

    assert rollback(desk) == "1.0.0 serves again, proved"


def test_a_lease_that_moves_no_users_is_left_to_its_holder(desk: Desk, machines: Machines) -> None:
    machines["three"].lock = lease("backup restore b1", 50)

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, machines.live) == (5, [NEW, NEW])


def test_a_move_back_that_was_cut_off_is_ended_and_goes_no_further(
    desk: Desk, machines: Machines
) -> None:
    older = "0.9.0-99999999"
    for name in ("one", "two"):
        machine = machines[name]
        machine.live = machine.confirmed = OLD
        machine.placed, machine.history = [older, OLD, NEW], [older, OLD]
        machine.pending = {"kind": "revert", "deployment": "d", "from": NEW, "to": OLD}

    assert rollback(desk) == "1.0.0 serves again, proved"

    assert ("one", "revert") in machines.order
    assert [(machines[name].live, machines[name].pending) for name in ("one", "two")] == [
        (OLD, None),
        (OLD, None),
    ]
    assert machines["one"].running == [OLD]


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("to", [None, "1.0.0"])
def test_a_killed_rollback_is_proved_and_ended_and_goes_no_further(
    desk: Desk, machines: Machines, to: str | None, expired: bool
) -> None:
    older = "0.9.0-99999999"
    for name in ("one", "two"):
        machine = machines[name]
        machine.live = machine.confirmed = OLD
        machine.placed, machine.history = [older, OLD, NEW], [older]
    for name in ("one", "two", "three"):
        left = {**lease(f"rollback {NEW} -> {OLD}", 60), "expired": expired}
        machines[name].lock = left

    assert rollback(desk, to) == "1.0.0 serves again, proved"

    assert machines.live == [OLD, OLD]
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


@pytest.mark.parametrize("act", ["revert", "unlock"])
def test_one_that_is_interrupted_once_users_moved_is_proved_and_ended_by_the_next(
    desk: Desk, machines: Machines, act: str
) -> None:
    def interrupt() -> None:
        machines["one"].before.clear()
        machines["one"].live = OLD
        raise KeyboardInterrupt

    machines["one"].on(act, interrupt)
    failed(lambda: rollback(desk))

    said = rollback(desk, to=OLD)

    assert said.startswith("1.0.0 serves again, proved")
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_what_a_lost_host_still_held_of_a_deployment_that_went_back_is_ended(
    desk: Desk, machines: Machines
) -> None:
    """It came back on the old version by itself: the command that its loss named leaves nothing behind."""
    machines.before_deployment()
    machines["two"].lock = lease("deploy 2.0.0", 60)

    assert rollback(desk, to="1.0.0") == "1.0.0 serves again, proved"

    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]
    assert rollback(desk, to="1.0.0").startswith("nothing to do")


def test_a_deployment_under_way_keeps_its_lease_where_there_is_nothing_to_go_back_to(
    desk: Desk, machines: Machines
) -> None:
    machines.before_deployment()
    machines["two"].lock = lease("deploy 2.0.0", 10)

    assert rollback(desk, to="1.0.0").startswith("nothing to do")

    assert machines["two"].lock is not None


def test_the_lease_of_a_rollback_names_both_colours(desk: Desk, machines: Machines) -> None:
    reasons: list[str] = []
    one = machines["one"]
    one.on("revert", lambda: reasons.append(str((one.lock or {})["reason"])))

    rollback(desk)

    assert reasons == [f"rollback {NEW} -> {OLD}"]


def test_a_lock_of_another_keeps_everything_as_it_is(desk: Desk, machines: Machines) -> None:
    machines["two"].lock = {"owner": "ann@desk", "reason": "finalize"}

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.message == "ann@desk holds the lock of hello: finalize"
    assert (machines["one"].live, machines["one"].lock) == (NEW, None)


def test_a_lease_that_is_taken_ends_the_rollback_with_the_locks_exit_code(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        refuse = partial(machines[name].refuse, "fenced", "the lease 7 was overtaken by 8 of ann")
        machines[name].on("revert", refuse)

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at revert: the lease on one is ours no more")
