"""What is taken away where a deployment is red before its switch: the halves of those who told no end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import deploy
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.remote.failures import SessionLost
from changeover.runner import by_hand
from changeover.runner.lease import takeover
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machine import Machine
    from tests.unit.runner.machines import Machines


@pytest.fixture(autouse=True)
def old_is_live(machines: Machines) -> None:
    machines.before_deployment()


def break_off() -> None:
    raise SessionLost("two broke off", hint="look", host="two")


def test_an_agent_that_told_no_end_leaves_no_halves(desk: Desk, machines: Machines) -> None:
    machines["two"].on("start", break_off)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 1
    assert "nothing is half done" in error.message
    assert [machines[name].withdrawn for name in ("one", "two")] == [[None], [None]]
    assert "backup_withdraw" in machines["three"].asked
    assert machines["three"].asked.index("backup_withdraw") < machines["three"].asked.index(
        "unlock"
    )


def test_a_host_that_is_lost_is_told_and_taken_back_at_once_when_it_answers(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("start", two.lose)

    error = failed(lambda: deploy(desk))

    assert (
        "1.0.0 serves; two does not answer as asked, and what was begun there is not taken"
        in error.message
    )
    assert "nothing is half done" not in error.message
    assert error.hint.startswith("when two answers, changeover abort --env demo takes back")
    two.before.clear()
    two.reachable = True
    held = next(event["deployment"] for event in desk.events if "deployment" in event)
    two.lock = {**(two.lock or {}), "heartbeat": "now", "silent": 1.0, "deployment": held}

    assert takeover.abort(desk.context, force=False)["outcome"] == "done"
    assert two.withdrawn == [held]


def test_what_stays_where_a_host_is_back_before_the_lease_is_given_back_is_told_and_taken_later(
    desk: Desk, machines: Machines
) -> None:
    three = machines["three"]
    machines["two"].on("start", break_off)
    three.on("backup_withdraw", lambda: three.refuse("agent-busy"))

    error = failed(lambda: deploy(desk))

    assert "nothing is half done" not in error.message
    assert error.hint.startswith("when three answers, changeover abort --env demo takes back")
    machines["two"].before.clear()
    three.before.clear()

    assert deploy(desk).startswith("3.0.0 serves")
    assert three.asked.count("backup_withdraw") == 1


def test_one_that_told_what_is_wrong_has_cleared_up_itself(desk: Desk, machines: Machines) -> None:
    machines["two"].on("start", lambda: machines["two"].refuse("unit-failed"))

    failed(lambda: deploy(desk))

    assert [machines[name].withdrawn for name in ("one", "two")] == [[], []]
    assert "backup_withdraw" not in machines["three"].asked


@pytest.fixture
def cut_off(machines: Machines) -> None:
    """Leave a deployment that was cut off before its switch."""
    for machine in machines.machines.values():
        machine.lock = {"reason": "deploy 3.0.0", "deployment": "d", "expired": True}


@pytest.mark.usefixtures("cut_off")
def test_a_way_back_takes_away_what_it_could_not_where_the_host_is_there_again_once_it_is_proved(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = machines["two"]
    two.on("withdraw", two.lose)
    monkeypatch.setattr("changeover.runner.back.retreat.prove", lambda *_: comes_back(two))

    end = takeover.abort(desk.context, force=False)

    assert end["message"] == f"{OLD} is live on one, two, as before the deployment, proved"
    assert two.withdrawn == ["d"]
    assert two.lock is None


def comes_back(machine: Machine) -> None:
    machine.before.clear()
    machine.reachable = True


@pytest.mark.usefixtures("cut_off")
def test_a_way_back_that_is_not_proved_is_ended_by_the_same_command(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("withdraw", lambda: two.refuse("agent-busy"))
    for name in ("one", "two"):
        # A version with a check, and nothing answers it at the demo's address.
        machines[name].live = machines[name].confirmed = "2.0.0-22222222"

    error = failed(lambda: takeover.abort(desk.context, force=False))

    assert error.exit_code == 4
    assert error.message.endswith("what the deployment left on two is not taken away")
    assert error.hint.endswith("changeover abort --env demo again takes that away")
    comes_back(two)
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = OLD
    assert takeover.abort(desk.context, force=False)["outcome"] == "done"
    assert two.withdrawn == ["d"]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


@pytest.mark.usefixtures("cut_off")
def test_a_way_back_that_is_proved_names_what_stays(desk: Desk, machines: Machines) -> None:
    two = machines["two"]
    two.on("withdraw", lambda: two.refuse("agent-busy"))

    end = takeover.abort(desk.context, force=False)

    said = "what the deployment left on two is not taken away: changeover abort --env demo again"
    assert str(end["message"]).endswith(f"proved; {said}")
    comes_back(two)
    assert takeover.abort(desk.context, force=False)["outcome"] == "done"
    assert two.withdrawn == ["d"]


@pytest.mark.usefixtures("cut_off")
def test_a_lease_that_a_way_back_cannot_give_back_is_told_with_its_end(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("unlock", machines["two"].lose)

    assert takeover.abort(desk.context, force=False)["outcome"] == "done"

    assert "the lease on two ends by itself within 120 s: two does not answer SSH" in desk.says()


@pytest.mark.usefixtures("cut_off")
def test_a_rollback_takes_away_what_a_backup_left_once_users_are_back(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = NEW
        machines[name].history = [OLD]

    assert back.rollback(desk.context, to=None, backup=None)["message"].startswith("1.0.0 serves")

    asked = machines["three"].asked
    assert asked.count("backup_withdraw") == 1
    assert machines.order.index(("three", "backup_withdraw")) > machines.order.index(
        ("one", "revert")
    )


@pytest.mark.parametrize(("command", "withdrawn"), [("db migrate", 1), ("backup verify", 0)])
def test_what_is_done_by_hand_for_the_database_leaves_no_backup_behind(
    desk: Desk, machines: Machines, command: str, withdrawn: int
) -> None:
    """The host is back before the lease is: the next command does what this one could not."""
    three = machines["three"]
    three.on("backup_withdraw", lambda: three.refuse("agent-busy"))
    with (
        pytest.raises(SessionLost),
        by_hand.leased(desk.context, command, "3.0.0", hint="again"),
    ):
        break_off()
    assert (three.lock is None) is (withdrawn == 0)
    three.before.clear()

    with by_hand.leased(desk.context, command, "3.0.0", hint="again"):
        pass

    assert three.asked.count("backup_withdraw") == withdrawn
    assert three.lock is None
