"""Finalize: what it removes, and when it lets go of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover import steps
from changeover.executors.backup import rehearsal as clones
from changeover.remote.failures import HostUnreachable, SessionLost
from changeover.runner.deployment import bake, finish
from changeover.runner.fleet import survey
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines


def test_the_old_colours_are_removed_and_the_live_one_stays(desk: Desk, machines: Machines) -> None:
    end = finish.walk(finish.prepare(desk.context))

    assert end["message"] == "3.0.0 is final"
    assert [machines[name].placed for name in ("one", "two")] == [[NEW], [NEW]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


@pytest.mark.parametrize(
    ("reason", "withdrawn"),
    [
        ("finalize", ["d0"]),
        ("finalize early: it is tried", ["d0"]),
        ("deploy 3.0.0", ["d0"]),
        ("abort 3.0.0 of d1", ["d1"]),
        ("backup create 3.0.0", []),
    ],
)
def test_what_the_backup_of_one_that_was_cut_off_left_is_taken_away(
    desk: Desk,
    machines: Machines,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    withdrawn: list[str],
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(clones, "withdraw", lambda _, deployment: taken.append(deployment))
    lock = {"owner": "ann", "reason": reason, "deployment": "d0", "expired": True}
    machines["three"].lock = lock

    finish.walk(finish.prepare(desk.context))

    assert taken == withdrawn


def test_one_whose_host_lost_its_power_is_gone_on_with_at_once(
    desk: Desk, machines: Machines
) -> None:
    one = machines["one"]
    one.on("retire", one.lose)
    error = failed(lambda: finish.walk(finish.prepare(desk.context, early="it leaks")))
    assert (
        error.hint == "when one answers, changeover finalize --early 'it leaks' --env demo goes on"
    )
    one.before.clear()
    one.reachable = True
    assert one.lock is not None

    assert finish.walk(finish.prepare(desk.context))["message"] == "3.0.0 is final"

    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_what_a_removal_that_was_cut_off_left_is_taken_away_by_the_next_one(
    desk: Desk, machines: Machines
) -> None:
    one = machines["one"]
    one.placed = [str(one.live)]

    finish.walk(finish.prepare(desk.context))

    assert one.withdrawn == [None]


def test_what_a_backup_left_on_a_host_that_was_off_is_taken_away_by_the_next_run(
    desk: Desk, machines: Machines
) -> None:
    """The host is back before the lease is given back, and after what was left was to go."""
    one, three = machines["one"], machines["three"]
    one.on("retire", break_off)
    three.on("backup_withdraw", lambda: three.refuse("agent-busy"))
    error = failed(lambda: finish.walk(finish.prepare(desk.context)))
    assert error.hint == "when three answers, changeover finalize --env demo goes on"
    assert three.lock is not None
    assert three.lock["expired"]
    one.before.clear()
    three.before.clear()

    finish.walk(finish.prepare(desk.context))

    assert three.asked.count("backup_withdraw") == 1
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def break_off() -> None:
    raise SessionLost("one broke off", hint="look", host="one")


def test_one_whose_host_was_off_when_it_asked_for_the_lease_says_so(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("lock", break_off)

    error = failed(lambda: finish.walk(finish.prepare(desk.context)))

    assert (error.exit_code, error.message) == (1, "one broke off")
    assert not machines["one"].withdrawn


def test_what_was_removed_is_told_where_it_cannot_be_written_down(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("retire", desk.fill_disk)

    assert finish.walk(finish.prepare(desk.context))["message"] == "3.0.0 is final"

    assert "this goes on without a journal" in desk.says()
    assert machines["one"].placed == [NEW]


def test_a_live_version_that_this_checkout_lacks_is_named(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = "9.0.0-cccccccc"

    error = failed(lambda: finish.prepare(desk.context))

    assert (error.exit_code, error.message) == (2, "hello has no release 9.0.0")


def test_nothing_is_final_where_users_were_sent_back_before_the_yes(
    desk: Desk, machines: Machines
) -> None:
    stage = finish.prepare(desk.context)
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = OLD

    error = failed(lambda: finish.walk(stage))

    assert (error.exit_code, error.host) == (1, "one")
    assert error.message == f"{OLD} is live, and the plan was made for {NEW}: somebody was faster"
    assert [machines[name].placed for name in ("one", "two")] == [[OLD, NEW], [OLD, NEW]]
    assert desk.events[-1]["message"].endswith("somebody was faster; nothing was changed")
    assert machines["one"].lock is None


def test_nothing_is_final_where_a_boot_would_bring_back_another_version(
    desk: Desk, machines: Machines
) -> None:
    stage = finish.prepare(desk.context)
    machines["two"].confirmed = OLD

    error = failed(lambda: finish.walk(stage))

    assert error.host == "two"
    assert error.message.startswith(f"{OLD} is confirmed, and the plan was made for {NEW}")


def test_a_bake_window_is_held_from_the_last_confirmation_on(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].settled_seconds, machines["two"].settled_seconds = 90_000.0, 86_000.5

    error = failed(lambda: finish.prepare(desk.context))

    assert error.exit_code == 6
    assert error.message == "the bake window of 3.0.0 ends in 6 min 40 s, of 1 d"
    assert error.hint.endswith('changeover finalize --early "WHY" --env demo')
    assert [machines[name].lock for name in ("one", "two")] == [None, None]

    machines["two"].settled_seconds = 86_400.0
    assert finish.walk(finish.prepare(desk.context))["message"] == "3.0.0 is final"


def test_what_ends_a_bake_window_early_is_kept_on_the_hosts_and_here(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].settled_seconds = machines["two"].settled_seconds = 60.0
    reasons: list[object] = []
    machines["two"].on("retire", lambda: reasons.append((machines["two"].lock or {})["reason"]))

    finish.walk(finish.prepare(desk.context, early="the old one leaks"))

    assert reasons == ["finalize early: the old one leaks"]
    begun = next(event for event in desk.events if event["type"] == "deployment-begin")
    assert begun["reason"] == "finalize early: the old one leaks"


def test_hosts_remember_that_contract_was_begun_and_nobody_goes_back_unasked(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = finish.prepare(desk.context)
    contract = steps.Migrate(
        id="contract", hosts=("three",), phases=("contract",), migrations=(), final=True
    )
    sequence = (stage.plan.steps[0], contract, *stage.plan.steps[1:])
    remembered: list[list[str]] = []

    def stop(*_: object) -> None:
        remembered.extend(machines[name].contracted for name in ("one", "two"))
        machines["three"].reachable = False
        raise HostUnreachable("three does not answer SSH", hint="start the host", host="three")

    monkeypatch.setattr("changeover.runner.deployment.safety.migrate", stop)
    plan = dataclasses.replace(stage.plan, steps=sequence)
    failed(lambda: finish.walk(dataclasses.replace(stage, plan=plan)))

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))

    assert remembered == [[NEW], [NEW]]
    assert (error.exit_code, machines.live) == (6, [NEW, NEW])
    assert error.message.startswith(
        "finalize has begun to take away what 1.0.0 needs of the database (contract of 3.0.0), and"
        " the ledger does not say how far it came: three does not answer SSH"
    )
    assert error.hint == (
        "make the database answer, then changeover rollback --to 1.0.0 --env demo"
    )


def test_an_older_version_s_contract_keeps_nobody_from_going_back(
    desk: Desk, machines: Machines
) -> None:
    machines["three"].reachable = False
    machines["two"].contracted = ["0.9.0-99999999", OLD]

    assert back.rollback(desk.context, to=None, backup=None)["exit"] == 0


def test_a_window_that_a_host_cannot_tell_is_held(desk: Desk, machines: Machines) -> None:
    machines["two"].settled_seconds = None

    error = failed(lambda: finish.prepare(desk.context))

    assert error.exit_code == 6
    assert error.message.startswith("a host does not know since when 3.0.0 is live: nobody can")
    assert error.hint.endswith('changeover finalize --early "WHY" --env demo')
    assert finish.prepare(desk.context, early="it is known to be well").plan.version == "3.0.0"


def test_an_interrupt_of_an_early_end_says_the_reason_again(desk: Desk, machines: Machines) -> None:
    def interrupt() -> None:
        machines["one"].before.clear()
        raise KeyboardInterrupt

    machines["one"].on("retire", interrupt)
    stage = finish.prepare(desk.context, early="the old one's leak")

    error = failed(lambda: finish.walk(stage))

    assert error.hint == (
        """changeover finalize --early 'the old one'"'"'s leak' --env demo goes on"""
    )


@pytest.mark.parametrize(
    ("remembered", "stands", "held"),
    [
        (NEW, "3.0.0/contract/001_names", False),
        (NEW, "2.0.0/contract/001_names", True),
        ("3.0.0-cccccccc", "3.0.0/contract/001_names", True),
    ],
)
def test_a_window_is_over_once_the_live_colour_s_contract_was_begun(
    desk: Desk, machines: Machines, remembered: str, stands: str, *, held: bool
) -> None:
    machines["one"].settled_seconds = machines["two"].settled_seconds = 60.0
    machines["one"].contracted, machines.contracted = [remembered], [stands]

    if held:
        assert failed(lambda: finish.prepare(desk.context)).exit_code == 6
    else:
        assert finish.prepare(desk.context).plan.version == "3.0.0"


def test_an_environment_says_how_long_versions_bake_there(desk: Desk, machines: Machines) -> None:
    desk.project.variables.write_text(
        f"{desk.project.variables.read_text()}\nchangeover_bake_window: 30s\n"
    )
    machines["one"].settled_seconds = machines["two"].settled_seconds = 20.0
    context = desk.context
    states = survey.host_states(desk.run().fleet, desk.run().lease_hosts).values()

    found = bake.window(context.environment, context.release("3.0.0"), states)

    assert found.words() == "the bake window of 3.0.0 ends in 10 s, of 30 s"
