"""Abort: which colours it stops, what it proves, and what it does without."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD, Machine

from changeover.errors import Mixed
from changeover.plan.order import CLOSING_SECONDS
from changeover.runner.lease import interruption, takeover
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

OLDER = "0.9.0-99999999"
LEASE = {
    "owner": "ann@desk",
    "reason": "deploy 3.0.0",
    "deployment": "d",
    "heartbeat": "2026-01-15T10:15:00.000+00:00",
}


@pytest.fixture(autouse=True)
def interrupted(machines: Machines) -> None:
    """Leave a deployment that was cut off: the new colour runs on each host, users are on the old."""
    machines.before_deployment()
    for name in ("one", "two", "three"):
        machines[name].lock = dict(LEASE)
    for name in ("one", "two"):
        machines[name].running = [OLDER, OLD, NEW]
        machines[name].placed = [OLDER, OLD, NEW]
        machines[name].history = [OLDER]


def abort(desk: Desk) -> dict[str, Any]:
    return takeover.abort(desk.context, force=False)


def test_only_what_the_deployment_started_is_stopped(desk: Desk, machines: Machines) -> None:
    end = abort(desk)

    assert [machines[name].running for name in ("one", "two")] == [[OLDER, OLD], [OLDER, OLD]]
    assert end["message"] == f"{OLD} is live on one, two, as before the deployment, proved"
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_an_older_agent_is_asked_what_it_knows_and_the_rest_is_told(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "stop": {"colour", "drain_seconds"},
        "revert": {"to", "of", "closing_seconds", "timeout_seconds"},
    }

    def as_it_was(machine: Machine, name: str, action: dict[str, Any]) -> dict[str, Any]:
        if set(action) - {"id", "action", *known[name]}:
            machine.refuse("bad-parameter", "unknown parameter")
        return dict(getattr(Machine, f"_{name}")(machine, action))

    for machine in (machines["one"], machines["two"]):
        machine.older = True
        for name in known:
            object.__setattr__(machine, f"_{name}", partial(as_it_was, machine, name))

    unknown = partial(machines["two"].refuse, "bad-parameter")
    monkeypatch.setattr("changeover.runner.back.retreat.proof.preview", lambda *_: unknown())

    assert abort(desk)["exit"] == 0

    assert [machines[name].running for name in ("one", "two")] == [[OLDER, OLD], [OLDER, OLD]]
    assert "warning: not asked on each host: the agent of" in desk.says()


def test_an_older_build_of_the_version_that_was_live_before_stays_warm(
    desk: Desk, machines: Machines
) -> None:
    build = "3.0.0-77777777"
    for name in ("one", "two"):
        machines[name].running += [build]
        machines[name].placed += [build]
        machines[name].history = [build]

    abort(desk)

    assert build in machines["one"].running
    assert NEW not in machines["one"].running


def test_what_users_were_sent_back_to_is_proved(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        # A version with a check, and nothing answers it at the demo's address.
        machines[name].live = machines[name].confirmed = "2.0.0-22222222"

    error = failed(lambda: abort(desk))

    assert isinstance(error, Mixed)
    assert "and is not proved: 1 of 1 smoke checks are red: health" in error.message
    assert error.hint == "changeover smoke --env demo shows what users get"


def test_a_reload_waits_for_connections_as_long_as_a_deployment_does(
    desk: Desk, machines: Machines
) -> None:
    asked: list[float] = []

    def revert(action: dict[str, Any]) -> dict[str, Any]:
        asked.append(action["closing_seconds"])
        return dict(Machine._revert(machines["one"], action))  # noqa: SLF001 - the same machine

    object.__setattr__(machines["one"], "_revert", revert)

    abort(desk)

    assert asked == [CLOSING_SECONDS]


def test_the_database_host_is_not_needed(desk: Desk, machines: Machines) -> None:
    machines["three"].reachable = False

    end = abort(desk)

    said = str(end["message"])
    assert "proved; not known whether 1.0.0 can use the database as it is: three does not" in said
    assert ". Not done: the lease there was not given back (three does not" in said


def test_an_agent_that_cannot_take_away_what_was_placed_keeps_nobody_from_going_back(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("withdraw", lambda: machines["two"].refuse("unknown-action"))

    end = abort(desk)

    assert end["outcome"] == "done"
    assert machines["one"].withdrawn == [LEASE["deployment"]]
    said = [event["says"] for event in desk.events if event["type"] == "warning"]
    assert said[-1] == (
        "warning: what the deployment placed stays on two, inert: two: unknown-action"
    )


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_abort_that_was_interrupted_goes_on(desk: Desk, machines: Machines) -> None:
    machines["one"].on("stop", interrupt)
    error = failed(lambda: abort(desk))
    assert (error.exit_code, error.hint) == (130, "changeover abort --env demo goes on")
    machines["one"].before.clear()

    assert abort(desk)["message"].endswith("as before the deployment, proved")
    assert machines["one"].running == [OLDER, OLD]
    assert machines["one"].lock is None
    assert machines["one"].withdrawn == [LEASE["deployment"]]


def test_a_deployment_that_is_being_taken_back_is_not_resumed(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("stop", interrupt)
    failed(lambda: abort(desk))

    error = failed(lambda: takeover.resume(desk.context, force=False))

    assert error.exit_code == 2
    assert error.message == "the deployment of 3.0.0 is being taken back"


def test_a_rollback_goes_no_version_further_back_after_an_interrupted_abort(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("stop", interrupt)
    failed(lambda: abort(desk))

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))

    assert error.exit_code == 2
    assert error.message.startswith("the deployment of 3.0.0 ended before users were sent on")


def test_an_abort_that_moved_nobody_can_be_run_again(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].on("revert", partial(machines[name].refuse, "unhealthy"))
    error = failed(lambda: abort(desk))
    assert error.exit_code == 4
    assert "then changeover abort --env demo again" in error.hint
    for name in ("one", "two"):
        machines[name].before.clear()

    assert abort(desk)["outcome"] == "done"


def test_a_deployment_of_a_version_that_this_checkout_lacks_is_not_resumed(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = {**LEASE, "reason": "deploy 9.0.0"}

    error = failed(lambda: takeover.resume(desk.context, force=False))

    assert (error.exit_code, error.message) == (2, "hello has no release 9.0.0")
    assert "name one of: 1.0.0, 2.0.0, 3.0.0" in error.hint


def test_a_lost_app_host_is_named(desk: Desk, machines: Machines) -> None:
    machines["two"].reachable = False

    error = failed(lambda: abort(desk))

    assert (error.exit_code, error.host) == (4, "two")
    assert error.message.startswith(f"{OLD} is live on one, as before the deployment; not known")
    assert "when it answers, changeover abort --env demo" in error.hint
    assert machines["one"].running == [OLDER, OLD]


def test_a_fleet_of_which_one_host_heard_the_confirmation_is_taken_back(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].live = machines["one"].confirmed = NEW
    machines["one"].history = [OLDER, OLD]

    end = abort(desk)

    assert machines.live == [OLD, OLD]
    assert end["message"].startswith(f"{OLD} is live on one, two, as before the deployment")


def test_what_every_host_heard_confirmed_is_not_aborted(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = NEW

    with pytest.raises(interruption.NothingInterrupted, match=r"3\.0\.0 was confirmed"):
        abort(desk)
