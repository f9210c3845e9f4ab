"""An app host that is lost: who is left out by which policy, and what users are kept from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import plan
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD, Machine

from changeover.errors import RolledBack
from changeover.executors import operate
from changeover.inventory import Host
from changeover.plan.situation import Skipped
from changeover.policy.absence import policy
from changeover.remote.failures import SessionLost
from changeover.runner.deployment import finish, forward
from changeover.runner.fleet import away, catch_up, survey
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.runner.context import Context

EDGE = Host("edge", "192.0.2.1", 22, ("lb",), {})
FENCE = {"since": "then", "why": "two does not answer", "deployment": "d"}


@pytest.fixture(autouse=True)
def old_is_live(machines: Machines) -> None:
    machines.before_deployment()
    machines.machines["edge"] = Machine("edge")


def context(desk: Desk, declared: str = "skip") -> Context:
    made = desk.context
    made.environment = replace(made.environment, hosts=(*made.environment.hosts, EDGE))
    made.unreachable = policy(declared)
    return made


def deploy(desk: Desk, declared: str = "skip") -> str:
    return str(forward.walk(context(desk, declared).run(), plan())["message"])


def fenced(machines: Machines) -> list[str]:
    return sorted(machines["edge"].fenced)


@pytest.mark.parametrize("at", ["lock", "start", "health", "switch", "confirm"])
def test_a_host_that_is_lost_is_fenced_and_the_others_go_on(
    desk: Desk, machines: Machines, at: str
) -> None:
    machines["two"].on(at, machines["two"].lose)

    said = deploy(desk)

    assert said.startswith("3.0.0 serves")
    assert "left out: two: changeover catch-up --env demo" in said
    assert fenced(machines) == ["two"]
    assert (machines["one"].live, machines["one"].confirmed) == (NEW, NEW)
    assert machines["edge"].lock is None


@pytest.mark.parametrize("declared", ["fail", "quorum=51%"])
def test_too_few_hosts_go_back_and_no_user_is_kept_from_one(
    desk: Desk, machines: Machines, declared: str
) -> None:
    machines["two"].on("start", machines["two"].lose)

    error = failed(lambda: deploy(desk, declared))

    assert error.exit_code == 6
    assert (machines.live, fenced(machines)) == ([OLD, OLD], [])


def test_a_host_that_answers_again_at_once_is_left_out_all_the_same(
    desk: Desk, machines: Machines
) -> None:
    """It has booted meanwhile: nothing that was done on it before can be relied on."""
    two = machines["two"]

    def breaks_off() -> None:
        two.before.clear()
        raise SessionLost("two broke off", hint="look", host="two")

    two.on("switch", breaks_off)

    deploy(desk)

    assert fenced(machines) == ["two"]
    assert two.live == OLD


def test_a_fence_that_fails_takes_the_deployment_back(desk: Desk, machines: Machines) -> None:
    machines["two"].on("confirm", machines["two"].lose)
    machines["edge"].on("fence", lambda: machines["edge"].refuse("balancer-silent"))

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 4
    assert "keep users from two" in error.hint
    assert machines["one"].live == OLD


def test_what_is_lost_while_all_go_back_is_fenced_and_no_longer_mixed(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "changeover.runner.deployment.apply.proof.smoke", lambda *_: machines["one"].refuse("x")
    )
    machines["two"].on("revert", machines["two"].lose)
    monkeypatch.setattr("changeover.runner.back.retreat.prove", lambda *_: None)

    error = failed(lambda: deploy(desk))

    assert isinstance(error, RolledBack)
    assert (machines["one"].live, fenced(machines)) == (OLD, ["two"])


def test_a_plan_is_made_without_who_is_gone_and_says_so(desk: Desk, machines: Machines) -> None:
    machines["two"].lose()
    run = context(desk).run()

    assert sorted(away.present(run)) == ["edge", "one", "three"]

    assert [host.name for host in run.app_hosts] == ["one"]
    assert away.told(run)["skipped"][0].why == "does not answer"
    assert failed(lambda: away.present(context(desk, "quorum=51%").run())).exit_code == 6
    assert failed(lambda: away.present(context(desk, "fail").run())).host == "two"


def test_without_a_balancer_nobody_is_left_out(desk: Desk) -> None:
    alone = desk.context
    alone.unreachable = policy("skip")

    error = failed(lambda: away.present(alone.run()))

    assert error.exit_code == 2
    assert "no balancer" in error.message


def test_a_host_that_is_behind_takes_part_in_nothing(desk: Desk, machines: Machines) -> None:
    machines["edge"].fenced = {"two": FENCE}
    machines["one"].live = machines["one"].confirmed = NEW
    machines["one"].history = [OLD]

    refused = failed(lambda: away.present(context(desk, "fail").run()))
    assert refused.exit_code == 6
    assert "catch-up" in refused.hint
    assert failed(lambda: finish.prepare(context(desk))).exit_code == 6

    end = back.rollback(context(desk), to=None, backup=None)
    assert end["exit"] == 0
    assert ("two", "revert") not in machines.order
    assert "fence" in machines["edge"].asked, "who fenced it may have been cut off at that"


def test_a_rollback_fences_who_does_not_answer(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].live, machines[name].confirmed, machines[name].history = NEW, NEW, [OLD]
    machines["two"].lose()

    end = back.rollback(context(desk), to=None, backup=None)

    assert end["exit"] == 0
    assert (machines["one"].live, fenced(machines)) == (OLD, ["two"])


def test_catch_up_brings_it_to_what_the_others_serve(desk: Desk, machines: Machines) -> None:
    machines["edge"].fenced = {"two": FENCE}
    machines["one"].live = machines["one"].confirmed = NEW
    machines["one"].history = [OLD]

    end = catch_up.catch_up(context(desk), None)

    assert end is not None
    assert end["message"].startswith(f"two serves {NEW} like the others")
    two = machines["two"]
    assert (two.live, two.confirmed, two.history) == (NEW, NEW, [OLD])
    assert fenced(machines) == []
    assert ("one", "switch") not in machines.order
    assert catch_up.catch_up(context(desk), None) is None


def test_catch_up_takes_away_what_a_backup_left_of_a_lease_that_it_takes_over(
    desk: Desk, machines: Machines
) -> None:
    machines["edge"].fenced = {"two": FENCE}
    machines["two"].lock = {"reason": "deploy 3.0.0", "deployment": "d", "expired": False}

    catch_up.catch_up(context(desk), None)

    assert "backup_withdraw" in machines["three"].asked
    assert machines["two"].lock is None


def test_a_host_that_another_app_keeps_fenced_is_not_said_to_be_back(
    desk: Desk, machines: Machines
) -> None:
    edge = machines["edge"]
    edge.fenced = {"two": FENCE}
    object.__setattr__(edge, "_unfence", lambda _: {"unfenced": ["two"], "kept": ["two"]})

    end = catch_up.catch_up(context(desk), None)

    assert end is not None
    assert "no user gets to two yet: another app keeps it fenced" in end["message"]


def test_a_host_that_is_not_well_stays_fenced(desk: Desk, machines: Machines) -> None:
    machines["edge"].fenced = {"two": FENCE}
    machines["two"].on("health", lambda: machines["two"].refuse("unhealthy", "answers 503"))

    error = failed(lambda: catch_up.catch_up(context(desk), "two"))

    assert error.message == "two: answers 503; two stays fenced, and users are where they were"
    assert fenced(machines) == ["two"]
    assert machines["one"].lock is None


def test_a_host_that_one_of_two_balancers_keeps_users_from_is_told_as_that(
    desk: Desk, machines: Machines
) -> None:
    machines.machines["rim"] = Machine("rim", fenced={"two": FENCE})
    machines["edge"].fenced = {"two": FENCE}
    machines["rim"].on("unfence", lambda: machines["rim"].refuse("balancer-unwell", "not well"))
    made = context(desk)
    rim = replace(EDGE, name="rim")
    made.environment = replace(made.environment, hosts=(*made.environment.hosts, rim))

    error = failed(lambda: catch_up.catch_up(made, None))

    assert "two is proved, and users may get there through some balancers only" in error.message
    assert error.hint == "changeover catch-up --env demo again"
    assert fenced(machines) == []


def test_a_host_that_does_not_answer_is_named(desk: Desk, machines: Machines) -> None:
    machines["edge"].fenced = {"two": FENCE}
    machines["two"].lose()

    error = failed(lambda: catch_up.catch_up(context(desk), None))

    assert error.exit_code == 6
    assert error.message.startswith("two is fenced and does not answer")


def test_a_deployment_behind_the_page_leaves_nobody_out(desk: Desk, machines: Machines) -> None:
    """Whoever is not reached may go on writing with the old version."""
    gone = (Skipped(host="two", why="does not answer"),)
    found = replace(plan().situation, strategy="maintenance", skipped=gone)
    lost = SessionLost("two broke off", hint="look", host="two")
    run = context(desk).run()

    assert "strategy maintenance" in failed(lambda: away.refuse_unstopped(found, "demo")).message
    assert away.left_behind(run, found, plan().steps[-1], lost) == ()
    assert fenced(machines) == []


def test_a_host_that_was_taken_out_of_the_inventory_is_behind_no_more(
    desk: Desk, machines: Machines
) -> None:
    machines["edge"].fenced = {"gone": FENCE}

    away.refuse_behind(context(desk).run(), "finalize takes away what its version may need")
    assert sorted(away.present(context(desk, "fail").run())) == ["edge", "one", "three", "two"]


def test_status_tells_what_is_fenced_and_the_command(desk: Desk, machines: Machines) -> None:
    machines["edge"].fenced = {"two": FENCE}
    run = context(desk).run()
    answers = operate.states(run.fleet, run.lease_hosts)
    states, seen = (
        survey.states_of(answers, run.lease_hosts),
        survey.seen_of(answers, run.lease_hosts),
    )

    told = list(away.status(run.environment, states, seen))

    assert [(event["host"], event["live"], event["answers"]) for event in told] == [
        ("two", OLD, True)
    ]
    assert told[0]["command"] == "changeover catch-up --host two --env demo"
