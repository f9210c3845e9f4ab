"""Behind a page of maintenance: the two versions never run side by side, and the page goes with the old one well."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import plan
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.errors import Interrupted, InvalidInput, Mixed, RolledBack
from changeover.runner.deployment import forward, stages
from changeover.runner.fleet import agreement, survey
from changeover.runner.lease import takeover
from changeover.runner.page import by_hand
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machine import Event
    from tests.unit.runner.machines import Machines


@pytest.fixture(autouse=True)
def old_is_live(machines: Machines) -> None:
    machines.before_deployment()
    for action in ("start", "switch", "health", "smoke"):
        machines["one"].on(action, partial(assert_alone, machines))


def assert_alone(machines: Machines) -> None:
    """Hold a host to running one version at most."""
    assert len(machines["one"].running) <= 1


def deploy(desk: Desk, *, resumed: bool = False) -> Event:
    return forward.walk(desk.run(), plan(strategy="maintenance"), steal=resumed)


def stop_here() -> None:
    raise KeyboardInterrupt


def assert_old_serves(machines: Machines) -> None:
    for name in ("one", "two"):
        machine = machines[name]
        assert (machine.live, machine.confirmed, machine.running) == (OLD, OLD, [OLD])
        assert machine.wishes == {}


def test_users_get_the_page_from_before_the_old_one_stops_until_the_new_one_is_confirmed(
    desk: Desk, machines: Machines
) -> None:
    end = deploy(desk)

    done = [name for host, name in machines.order if host == "one"]
    wanted = ["maintenance_on", "stop", "start", "switch", "confirm", "maintenance_off"]
    assert [name for name in done if name in wanted][:6] == wanted
    assert (machines.live, machines["one"].running) == ([NEW, NEW], [NEW])
    assert "page" not in end["message"]
    assert any("4 requests were answered 503" in str(event.get("says")) for event in desk.events)


def test_what_is_red_after_the_switch_gives_users_the_old_version_again(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))

    error = failed(lambda: deploy(desk))

    assert isinstance(error, RolledBack)
    assert error.message.endswith("rolled back: 1.0.0 serves again, proved")
    assert_old_serves(machines)


def test_what_is_red_before_it_does_so_too(desk: Desk, machines: Machines) -> None:
    def ill() -> None:
        if machines["two"].wishes:
            machines["two"].refuse("unhealthy", "answers 503")

    machines["two"].on("switch", ill)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 3
    assert_old_serves(machines)


def test_a_host_that_cannot_show_the_page_keeps_it_from_all(desk: Desk, machines: Machines) -> None:
    machines["two"].on("maintenance_on", partial(machines["two"].refuse, "bad-page"))

    error = failed(lambda: deploy(desk))

    assert error.message.endswith("so no host shows the page")
    assert ("one", "stop") not in machines.order
    assert_old_serves(machines)


def test_where_the_old_one_does_not_come_back_the_page_stays_and_abort_goes_on(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("switch", partial(two.refuse, "unhealthy"))
    two.on("revert", partial(two.refuse, "unhealthy", "the old one answers 500"))

    error = failed(lambda: deploy(desk))

    assert isinstance(error, Mixed)
    assert "1.0.0 does not serve again, users get the page" in error.message
    assert "changeover abort" in error.hint
    assert two.wishes["deployment"]["reason"] == "deploy 3.0.0"
    del two.before["revert"], two.before["switch"]
    assert takeover.abort(desk.context, force=True)["exit"] == 0
    assert_old_serves(machines)


def test_what_was_cut_off_is_left_to_resume_and_abort(desk: Desk, machines: Machines) -> None:
    machines["two"].on("start", stop_here)

    with pytest.raises(Interrupted, match="users get the page of maintenance"):
        deploy(desk)

    del machines["two"].before["start"]
    for name in machines.machines:
        machines[name].lock = None
    for act in (
        lambda: by_hand.hide(desk.context),
        lambda: back.rollback(desk.context, to="1.0.0", backup=None),
    ):
        with pytest.raises(InvalidInput) as refused:
            act()
        assert "changeover abort" in refused.value.hint
    assert machines["one"].wishes
    end = takeover.abort(desk.context, force=True)
    assert end["exit"] == 0
    assert_old_serves(machines)


def test_where_the_page_comes_up_just_now_an_interrupt_says_that_users_may_get_it(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("maintenance_on", stop_here)

    with pytest.raises(
        Interrupted, match=r"1[.]0[.]0 serves; users may get the page of maintenance"
    ):
        deploy(desk)


def test_an_interrupt_says_that_users_may_get_the_page_that_an_earlier_run_left(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("steal", stop_here)

    with pytest.raises(
        Interrupted, match=r"1[.]0[.]0 or 3[.]0[.]0 may run.*users may get the page"
    ):
        deploy(desk, resumed=True)


def test_where_a_host_is_lost_behind_the_page_abort_names_both_ways_on(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("start", machines["two"].lose)
    assert "users get the page" in failed(lambda: deploy(desk)).message

    error = failed(lambda: takeover.abort(desk.context, force=True))

    assert error.message.startswith("the deployment is not taken back: two does not answer SSH")
    assert error.hint.startswith("start two, or where it never comes back take it out of")
    alone = desk.context
    alone.environment = alone.environment.without({"two"})
    assert takeover.abort(alone, force=True)["exit"] == 0
    assert (machines["one"].live, machines["one"].wishes) == (OLD, {})


@pytest.mark.parametrize("resumed", [False, True])
def test_where_no_host_answers_before_the_lease_is_held_nothing_is_said_to_be_half_done(
    desk: Desk, machines: Machines, resumed: bool
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lose()

    error = failed(lambda: deploy(desk, resumed=resumed))

    assert error.exit_code == 6
    assert error.message.endswith("nothing was changed")


def test_where_no_host_answers_any_more_what_is_confirmed_is_said_to_be_so(
    desk: Desk, machines: Machines
) -> None:
    def lose_all() -> None:
        machines["one"].lose()
        machines["two"].lose()

    machines["one"].on("maintenance_off", lose_all)

    error = failed(lambda: deploy(desk))

    assert error.message.startswith("3.0.0 serves and is confirmed; maintenance-off is red")
    assert error.message.endswith("users get the page of maintenance")
    assert "changeover maintenance off --env demo does" in error.hint


def test_the_page_that_is_all_that_is_left_of_a_deployment_goes_by_hand(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("maintenance_off", stop_here)
    with pytest.raises(Interrupted) as told:
        deploy(desk)
    assert "resume --env demo ends it, and takes the page away" in told.value.hint
    del machines["two"].before["maintenance_off"]
    machines["two"].wishes["hand"] = {"by": "ann", "since": "then"}
    for machine in machines.machines.values():
        machine.lock = None
    refused = failed(lambda: back.rollback(desk.context, to="1.0.0", backup=None))
    assert refused.hint.startswith("changeover maintenance off")

    by_hand.hide(desk.context)

    assert (machines["one"].wishes, machines["two"].wishes) == ({}, {})
    assert machines.live == [NEW, NEW]
    assert back.rollback(desk.context, to="1.0.0", backup=None)["exit"] == 0


def test_a_page_by_hand_stays_on_and_the_end_says_so(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].before.clear()
        machines[name].wishes["hand"] = {"by": "ann", "since": "then"}

    end = forward.walk(desk.run(), plan(page=True))

    assert end["message"].endswith("until changeover maintenance off --env demo")
    assert "hand" in machines["one"].wishes
    assert "deployment" not in machines["one"].wishes


def test_a_deployment_that_shows_the_page_is_not_settled(desk: Desk, machines: Machines) -> None:
    machines["one"].wishes["deployment"] = {"reason": "deploy 3.0.0", "since": "then"}
    run = desk.run()
    states = survey.host_states(run.fleet, run.app_hosts)
    with pytest.raises(agreement.Unconfirmed):
        agreement.settled(states.values(), "demo")


def test_who_agrees_to_a_plan_is_told_that_users_get_a_page() -> None:
    said = (
        "users get a page of maintenance from maintenance-on to maintenance-off: 1.0.0 is stopped"
    )
    closed, beside = plan(strategy="maintenance"), plan()

    assert said in stages.brief(closed)
    assert said in stages.words(closed)
    assert "maintenance" not in stages.brief(beside) + stages.words(beside)
