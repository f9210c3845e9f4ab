"""Rollback with what can be reached: who goes back, what is said of the rest, which exit code."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.errors import Interrupted, Mixed
from changeover.remote.failures import AgentFailed, HostUnreachable
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines


def rollback(desk: Desk, to: str | None = None, backup: str | None = None) -> str:
    return str(back.rollback(desk.context, to=to, backup=backup)["message"])


def test_all_hosts_go_back_and_the_colour_that_was_left_is_stopped(
    desk: Desk, machines: Machines
) -> None:
    assert rollback(desk) == "1.0.0 serves again, proved"

    assert [machines[name].live for name in ("one", "two")] == [OLD, OLD]
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_a_rollback_needs_nothing_of_the_database_host(desk: Desk, machines: Machines) -> None:
    machines["three"].reachable = False

    said = rollback(desk)

    assert said.startswith("1.0.0 serves again, proved. Not done: the lease on three")
    assert "three does not answer SSH" in said
    assert "nothing is left to do" in said
    assert [machines[name].live for name in ("one", "two")] == [OLD, OLD]


def test_users_go_back_where_the_controller_can_write_nothing_down(
    desk: Desk, machines: Machines
) -> None:
    desk.fill_disk()

    assert rollback(desk) == "1.0.0 serves again, proved"

    assert machines.live == [OLD, OLD]
    assert desk.says().count("this goes on without a journal") == 1


def test_nothing_is_said_to_serve_where_no_app_host_answers_at_the_end(
    desk: Desk, machines: Machines
) -> None:
    apps = [machines["one"], machines["two"]]
    for each in apps:
        each.on("stop", each.lose)

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 4
    assert error.message.startswith(
        "users were sent back to 1.0.0, proved, and no app host answers any more: nobody knows"
    )
    assert (
        error.hint == "when one, two answers, changeover rollback --to 1.0.0 --env demo proves it"
    )
    assert "the lease on one ends by itself within 120 s: one does not answer SSH" in desk.says()
    for each in apps:
        each.before.clear()
        each.reachable = True
        each.lock = {**(each.lock or {}), "heartbeat": "then", "silent": 60.0}
    assert rollback(desk, to="1.0.0") == "1.0.0 serves again, proved"
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_a_lost_app_host_is_named_and_the_others_go_back(desk: Desk, machines: Machines) -> None:
    machines["two"].reachable = False

    error = failed(lambda: rollback(desk))

    assert isinstance(error, Mixed)
    assert (error.exit_code, error.host) == (4, "two")
    assert error.message.startswith("1.0.0 serves again on one, proved; not known to be back: two")
    assert f"may still serve {NEW}" in error.message
    assert "when it answers, changeover rollback --to 1.0.0 --env demo" in error.hint
    assert (machines["one"].live, machines["one"].lock) == (OLD, None)


def test_it_is_not_done_as_long_as_a_host_is_lost(desk: Desk, machines: Machines) -> None:
    machines["two"].reachable = False
    failed(lambda: rollback(desk))

    error = failed(lambda: rollback(desk, "1.0.0"))
    assert isinstance(error, Mixed)
    assert error.message.startswith("1.0.0 serves again on one; not known to be back: two")

    machines["two"].reachable = True
    assert rollback(desk, "1.0.0") == "1.0.0 serves again, proved"
    assert machines["two"].live == OLD
    assert rollback(desk, "1.0.0") == f"nothing to do: {OLD} is live already"


def test_a_host_that_is_lost_on_the_way_does_not_keep_the_others(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("revert", lambda: setattr(two, "reachable", False))

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, error.host) == (4, "two")
    assert error.message.startswith("1.0.0 serves again on one, proved; not known to be back: two")
    assert machines["one"].running == [OLD]


def test_no_host_that_runs_the_app_answers(desk: Desk, machines: Machines) -> None:
    machines["one"].reachable = machines["two"].reachable = False

    error = failed(lambda: rollback(desk))

    assert isinstance(error, HostUnreachable)
    assert error.exit_code == 6


def test_the_second_half_of_a_half_rollback_goes_where_the_first_went(
    desk: Desk, machines: Machines
) -> None:
    one = machines["one"]
    one.live = one.confirmed = OLD
    one.history = ["0.9.0-eeeeeeee"]
    one.placed = [*one.placed, "0.9.0-eeeeeeee"]

    assert rollback(desk) == "1.0.0 serves again, proved"
    assert (one.live, machines["two"].live) == (OLD, OLD)


def test_where_no_host_goes_back_the_new_version_is_said_to_serve(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].on("revert", partial(machines[name].refuse, "unhealthy"))

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, machines["one"].live) == (4, NEW)
    assert error.message == "no host went back to 1.0.0: one: unhealthy"
    assert error.hint == f"changeover rollback --to {OLD} --env demo"


def test_what_keeps_a_host_from_going_back_comes_before_the_same_command(
    desk: Desk, machines: Machines
) -> None:
    said = {"hint": "correct other.conf on this host"}

    def refuse() -> None:
        raise AgentFailed("Nginx refuses other.conf", hint="", error="nginx-invalid", detail=said)

    for name in ("one", "two"):
        machines[name].on("revert", refuse)

    error = failed(lambda: rollback(desk))

    again = f"changeover rollback --to {OLD} --env demo"
    assert error.hint == f"correct other.conf on this host, then {again}"


def test_users_go_back_from_a_version_that_this_checkout_lacks(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = "9.0.0-cccccccc"

    assert rollback(desk, "1.0.0") == "1.0.0 serves again, proved"

    assert "not checked whether 1.0.0 can still read the database: hello has no release" in (
        desk.says()
    )


def test_users_go_back_to_a_version_that_this_checkout_lacks_and_cannot_prove(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].placed, machines[name].history = ["0.9.0-99999999", NEW], ["0.9.0-99999999"]

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 4
    assert error.message.endswith("is not proved: smoke: hello has no release 0.9.0")
    assert machines.live == ["0.9.0-99999999", "0.9.0-99999999"]


def test_a_mistake_in_another_release_keeps_nobody_from_proving_the_old_version(
    desk: Desk, machines: Machines
) -> None:
    file = desk.project.release_file("3.0.0")
    file.write_text(file.read_text() + "\nnonsense: true\n")

    assert rollback(desk) == "1.0.0 serves again, proved"

    assert machines.live == [OLD, OLD]
    assert "warning: left out, so a name that only these give a value is not known: 3.0.0 (" in (
        desk.says()
    )


def test_a_version_that_there_is_no_release_of_is_named_as_such(
    desk: Desk, machines: Machines
) -> None:
    error = failed(lambda: rollback(desk, "5.0.0"))

    assert (error.exit_code, machines.live) == (2, [NEW, NEW])
    assert error.message == f"hello has no release 5.0.0, and the app hosts have only {OLD}, {NEW}"
    assert "changeover deploy 5.0.0" not in error.hint


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("lock", f"interrupted at lock: nothing was moved, {NEW} serves"),
        ("revert", "interrupted at revert: users may be on either version on one, two"),
        ("unlock", "interrupted at unlock: 1.0.0 serves again, proved"),
    ],
)
def test_an_interrupt_says_what_serves_and_what_goes_on(
    desk: Desk, machines: Machines, action: str, says: str
) -> None:
    def interrupt() -> None:
        machines["one"].before.clear()
        raise KeyboardInterrupt

    machines["one"].on(action, interrupt)

    error = failed(lambda: rollback(desk))

    assert isinstance(error, Interrupted)
    assert (error.exit_code, error.message) == (130, says)
    assert error.hint == f"changeover rollback --to {OLD} --env demo goes on"
    assert desk.events[-1]["outcome"] == "interrupted"


def test_connections_that_a_reload_met_are_told(desk: Desk, machines: Machines) -> None:
    machines["one"].left_open, machines["two"].left_open = 2, 1

    said = rollback(desk)

    assert "; 3 connections from before were still open at a reload of Nginx" in said
    assert desk.events[-1]["left_open"] == 3


BUILDS = ("1.0.0-aaaaaaaa", "1.0.0-ffffffff", "1.0.0-11111111")


def test_of_several_builds_the_one_that_was_live_last_is_taken(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].placed = [*BUILDS, NEW]
        machines[name].history = [BUILDS[1], BUILDS[0]]

    rollback(desk, "1.0.0")

    assert machines["one"].live == BUILDS[0]


def test_hosts_that_disagree_on_the_build_are_not_moved(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].placed = [*BUILDS, NEW]
    machines["one"].history = [BUILDS[0], BUILDS[1]]

    error = failed(lambda: rollback(desk, "1.0.0"))

    assert error.exit_code == 2
    assert f"one: {BUILDS[1]}, two: {BUILDS[0]}" in error.message
    assert BUILDS[0] in error.hint
    rollback(desk, BUILDS[1])
    assert [machines[name].live for name in ("one", "two")] == [BUILDS[1], BUILDS[1]]
