"""A deployment over several hosts: one that fails takes all back, and what is lost is named."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import deploy, plan
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.errors import CheckRed, Mixed, RolledBack
from changeover.remote.failures import HostSilent, SessionLost
from changeover.runner.deployment import forward

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machine import Event
    from tests.unit.runner.machines import Machines


@pytest.fixture(autouse=True)
def old_is_live(machines: Machines) -> None:
    machines.before_deployment()


def break_down() -> None:
    raise ValueError("nobody thought of this")


def test_a_deployment_ends_with_the_new_version_confirmed_everywhere(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].left_open = 4

    said = deploy(desk)

    assert said.startswith("3.0.0 serves; the way back: instant: the schema does not change")
    assert "; 4 connections from before were still open at a reload of Nginx" in said
    assert (machines.live, machines["two"].confirmed) == ([NEW, NEW], NEW)


def test_one_host_that_is_ill_behind_the_balancer_takes_all_back(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]

    def ill_once_live() -> None:
        if two.live == NEW:
            two.refuse("unhealthy", "answers 503")

    two.on("health", ill_once_live)

    error = failed(lambda: deploy(desk))

    assert isinstance(error, RolledBack)
    assert (error.exit_code, error.host) == (3, "two")
    assert error.message == "two: answers 503; rolled back: 1.0.0 serves again, proved"
    assert machines.live == [OLD, OLD]
    assert ("one", "confirm") not in machines.order


def test_what_is_confirmed_is_done_where_the_way_back_cannot_be_told(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changeover.runner.own.back.after_run", lambda *_: break_down())

    assert deploy(desk).startswith("3.0.0 serves; the way back: instant")
    assert machines.live == [NEW, NEW]


@pytest.mark.parametrize("hosts", [("one", "two"), ("two",)])
def test_a_deployment_that_was_overtaken_while_it_smoked_says_so_and_leaves_it_to_the_other(
    desk: Desk, machines: Machines, hosts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changeover.runner.deployment.proof.smoke", break_with_red)
    for name in hosts:
        refuse = partial(machines[name].refuse, "fenced", "the lease 7 was overtaken by 8 of ann")
        machines[name].on("revert", refuse)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at smoke: the lease on ")
    assert "overtaken by 8 of ann" in error.message
    assert ("one", "stop") not in machines.order


def test_a_deployment_that_was_overtaken_while_it_proved_the_old_version_says_so(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))
    overtaken = "the lease 7 was overtaken by 8 of ann"
    monkeypatch.setattr(
        "changeover.runner.back.retreat.prove",
        lambda *_: machines["one"].refuse("fenced", overtaken),
    )

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at confirm: the lease on one is ours no more")
    assert ("one", "stop") not in machines.order


def test_a_switch_that_every_host_refused_moved_nobody(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].on("switch", partial(machines[name].refuse, "nginx-invalid", "no such file"))

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 1
    assert error.message.endswith(": no such file; 1.0.0 serves, nothing is half done")
    assert ("one", "revert") not in machines.order
    assert machines["one"].running == [OLD]
    assert machines["one"].lock is None


def test_a_switch_that_one_host_refused_is_taken_back(desk: Desk, machines: Machines) -> None:
    machines["two"].on("switch", partial(machines["two"].refuse, "nginx-invalid"))

    assert failed(lambda: deploy(desk)).exit_code == 3

    assert machines.live == [OLD, OLD]


def test_nothing_is_begun_where_the_controller_can_write_nothing_down(
    desk: Desk, machines: Machines
) -> None:
    desk.fill_disk()

    assert failed(lambda: deploy(desk)).exit_code == 1

    assert machines.order == []


@pytest.mark.parametrize("last", ["start", "switch"])
def test_a_journal_that_cannot_be_written_any_more_takes_the_deployment_back(
    desk: Desk, machines: Machines, last: str
) -> None:
    machines["one"].on(last, desk.fill_disk)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == (1 if last == "start" else 3)
    assert "cannot be written" in error.message
    assert machines.live == [OLD, OLD]
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_what_is_confirmed_stays_where_its_end_cannot_be_written_down(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("confirm", desk.fill_disk)

    assert deploy(desk).startswith("3.0.0 serves")

    assert machines.live == [NEW, NEW]
    assert "this goes on without a journal" in desk.says()


def test_one_host_that_does_not_switch_takes_all_back(desk: Desk, machines: Machines) -> None:
    machines["two"].on("switch", partial(machines["two"].refuse, "nginx-invalid"))

    assert failed(lambda: deploy(desk)).exit_code == 3

    assert machines.live == [OLD, OLD]


def test_one_host_that_is_lost_after_its_rename_is_named_and_the_others_go_back(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("confirm", lambda: setattr(two, "reachable", False))

    error = failed(lambda: deploy(desk))

    assert isinstance(error, Mixed)
    assert (error.exit_code, error.host) == (4, "two")
    assert machines.live == [OLD, NEW]
    assert "; 1.0.0 serves again on one; not known to be back: two (" in error.message
    assert (
        "a host that heard the confirmation stays on 3.0.0, any other goes back to 1.0.0 by itself "
        "within 120 s"
    ) in error.message
    assert "when it answers, changeover rollback --to 1.0.0 --env demo" in error.hint
    assert (machines["one"].running, machines["one"].lock) == ([OLD], None)


def test_a_host_that_is_anothers_ends_the_deployment_and_nothing_is_taken_back(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "fenced", "overtaken by 8 of x"))

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at confirm: the lease on two is ours no more")
    assert ("one", "revert") not in machines.order
    assert "changeover status --env demo" in error.hint


def test_a_fault_while_it_goes_back_is_told_and_journaled(desk: Desk, machines: Machines) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))
    machines["one"].on("revert", break_down)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 4
    assert error.message == (
        "two: not-live; going back stopped half way: unexpected ValueError: nobody thought of this"
    )
    assert "changeover status --env demo" in error.hint
    assert (desk.events[-1]["type"], desk.events[-1]["exit"]) == ("deployment-end", 4)
    assert machines["one"].lock is not None
    assert machines["one"].lock["expired"]


@pytest.mark.parametrize("action", ["prune", "unlock"])
def test_a_fault_after_the_confirmation_takes_nothing_back(
    desk: Desk, machines: Machines, action: str
) -> None:
    machines["one"].on(action, break_down)

    assert deploy(desk).startswith("3.0.0 serves")

    assert machines.live == [NEW, NEW]
    assert ": unexpected ValueError: nobody thought of this" in desk.says()


def test_a_fault_in_telling_what_comes_after_the_confirmation_takes_nothing_back(
    desk: Desk, machines: Machines
) -> None:
    run, told = desk.run(), desk.events.append

    def report(event: Event) -> None:
        if event.get("step") == "drain":
            break_down()
        told(event)
        if event["type"] == "warning":
            break_down()

    run.report = report
    error = failed(lambda: forward.walk(run, plan()))

    assert error.exit_code == 4
    assert error.message.startswith("3.0.0 serves and is confirmed; drain is red: unexpected Value")
    assert "changeover smoke --env demo shows what users get" in error.hint
    assert machines.live == [NEW, NEW]


@pytest.mark.parametrize("action", ["stop", "start", "unlock"])
def test_a_session_that_ends_early_once_users_stay_is_begun_again(
    desk: Desk, machines: Machines, action: str
) -> None:
    two = machines["two"]

    def ends_early() -> None:
        two.before.clear()
        raise SessionLost("the session with two ended after 0 of 3 actions", hint="look")

    two.on("confirm", lambda: two.on(action, ends_early))

    deploy(desk)

    assert "warning" not in desk.says()
    assert (two.running, two.lock) == ([OLD, NEW], None)


def test_a_host_that_is_silent_once_users_stay_is_not_waited_for_twice(
    desk: Desk, machines: Machines
) -> None:
    def silent() -> None:
        raise HostSilent("two has been silent for 60 s in stop", hint="look")

    machines["two"].on("stop", silent)

    deploy(desk)

    assert f"{OLD} is not warm for a rollback: two has been silent" in desk.says()
    assert machines.order.count(("one", "stop")) == 1


def test_an_old_version_that_is_not_proved_is_smoked_next(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))
    monkeypatch.setattr("changeover.runner.back.retreat.prove", break_with_red)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 4
    assert error.message.endswith("1.0.0 serves again on one, two, and is not proved: it is red")
    assert error.hint == "changeover smoke --env demo shows what users get"
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]


def break_with_red(*_: object) -> None:
    raise CheckRed("it is red", hint="look")
