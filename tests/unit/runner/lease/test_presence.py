"""A run's sign of life: another process reads it, and a killed one cannot leave it behind."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import deploy
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.errors import LockHeld
from changeover.remote.failures import SessionLost
from changeover.runner import by_hand
from changeover.runner.deployment import stages
from changeover.runner.fleet import survey
from changeover.runner.lease import holder, presence
from changeover.runner.lease.presence import Presence
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

HOLDS = """
import pathlib, sys
from changeover.runner.lease.presence import Presence
here = Presence(pathlib.Path(sys.argv[1]))
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process of this machine that is at a run called one."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "one.jsonl")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_a_run_has_ended_when_its_process_was_killed(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    assert not presence.ended(tmp_path, "one")

    other.kill()
    other.wait()

    assert presence.ended(tmp_path, "one")


def test_nobody_knows_of_runs_of_other_machines_or_of_none(tmp_path: Path) -> None:
    (tmp_path / "two.alive").write_text("another machine, or this one before it was started anew")

    assert not presence.ended(tmp_path, "two")
    assert not presence.ended(tmp_path, "three")
    assert not presence.ended(tmp_path / "deeper", "../two")


def test_a_run_that_somebody_has_to_go_on_with_leaves_its_sign(tmp_path: Path) -> None:
    for left in (True, False):
        Presence(tmp_path / "one.jsonl").end(left=left)
        assert presence.ended(tmp_path, "one") is left


@pytest.fixture
def gone(desk: Desk) -> str:
    """A run of this machine whose process has ended; its id."""
    journals = desk.context.run().journal.path.parent
    journals.mkdir(parents=True, exist_ok=True)
    Presence(journals / "gone.jsonl").end(left=True)
    return "gone"


def lock(reason: str, deployment: str) -> dict[str, object]:
    beat = dt.datetime.now(dt.UTC).isoformat()
    told = {"owner": "ann@desk", "heartbeat": beat, "silent": 0.5, "expired": False}
    return {"reason": reason, "deployment": deployment, **told}


def test_a_rollback_does_not_wait_for_a_deployment_of_this_machine_that_was_killed(
    desk: Desk, machines: Machines, gone: str
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = lock("deploy 3.0.0", gone)

    assert back.rollback(desk.context, to=None, backup=None)["message"].startswith("1.0.0 serves")


def test_the_same_command_takes_the_lease_of_its_killed_run_over(
    desk: Desk, machines: Machines, gone: str
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = lock("db migrate 3.0.0", gone)

    with by_hand.leased(desk.context, "db migrate", "3.0.0", hint="again"):
        assert machines["one"].lock is not None
        assert machines["one"].lock["reason"] == "db migrate 3.0.0"

    assert "a process of this machine, and it is gone" in desk.says()


@pytest.mark.parametrize(
    ("reason", "deployment"), [("db migrate 3.0.0", "elsewhere"), ("deploy 3.0.0", "gone")]
)
def test_a_lease_of_one_who_may_live_or_who_moved_users_is_left(
    desk: Desk, machines: Machines, gone: str, reason: str, deployment: str
) -> None:
    machines["one"].lock = lock("db migrate 3.0.0", gone)
    machines["two"].lock = lock(reason, deployment)

    with (
        pytest.raises(LockHeld) as caught,
        by_hand.leased(desk.context, "db migrate", "3.0.0", hint="again"),
    ):
        pytest.fail("it was taken")

    assert machines["two"].lock["reason"] == reason
    assert ("changeover resume --env demo goes on" in caught.value.hint) is ("deploy" in reason)


def ended(
    desk: Desk,
    outcome: str,
    seconds: float,
    *,
    step: str = "start",
    command: str = "deploy",
    resumed: bool = False,
) -> str:
    """Leave the journal of a run that ended so many seconds ago, in a step; return its id."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
    run = desk.run()
    run.note({"type": "deployment-begin", "command": command, "resumed": resumed})
    run.note({"type": "step-intent", "step": step, "says": step})
    run.note({"type": "deployment-end", "outcome": outcome, "at": at.isoformat()})
    return run.fleet.deployment


@pytest.mark.parametrize("outcome", ["done", "rolled-back"])
def test_a_lease_that_a_lost_host_kept_of_a_deployment_that_is_over_is_taken(
    desk: Desk, machines: Machines, outcome: str
) -> None:
    over = ended(desk, outcome, seconds=30)
    machines["two"].lock = lock("deploy 3.0.0", over) | {"silent": 31.0}

    assert stages.route(desk.context, "3.0.0", direct=False, alone=True) == ("3.0.0",)
    with by_hand.leased(desk.context, "db migrate", "3.0.0", hint="again"):
        assert machines["two"].lock["reason"] == "db migrate 3.0.0"

    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


@pytest.mark.parametrize(("outcome", "silent"), [("failed", 31.0), ("mixed", 31.0), ("done", 5.0)])
def test_a_lease_of_a_deployment_that_has_to_be_gone_on_with_or_is_elsewhere_is_left(
    desk: Desk, machines: Machines, outcome: str, silent: float
) -> None:
    over = ended(desk, outcome, seconds=30)
    machines["two"].lock = lock("deploy 3.0.0", over) | {"silent": silent}

    with pytest.raises(LockHeld):
        stages.route(desk.context, "3.0.0", direct=False, alone=True)
    with (
        pytest.raises(LockHeld),
        by_hand.leased(desk.context, "db migrate", "3.0.0", hint="again"),
    ):
        pytest.fail("it was taken")


@pytest.mark.parametrize(
    ("reason", "step"), [("deploy 3.0.0", "lock"), ("finalize 3.0.0", "lock"), ("backup", "backup")]
)
def test_a_lease_of_a_run_that_failed_and_owes_nothing_is_taken(
    desk: Desk, machines: Machines, reason: str, step: str
) -> None:
    over = ended(desk, "failed", seconds=30, step=step, command=reason.partition(" ")[0])
    machines["two"].lock = lock(reason, over) | {"silent": 31.0}

    with by_hand.leased(desk.context, "db migrate", "3.0.0", hint="again"):
        assert machines["two"].lock["reason"] == "db migrate 3.0.0"


@pytest.mark.parametrize(("command", "resumed"), [("abort", False), ("deploy", True)])
def test_a_lease_taken_to_end_what_another_run_began_is_left(
    desk: Desk, machines: Machines, command: str, *, resumed: bool
) -> None:
    over = ended(desk, "failed", seconds=30, step="lock", command=command, resumed=resumed)
    machines["two"].lock = lock(f"{command} 3.0.0", over) | {"silent": 31.0}

    with pytest.raises(LockHeld):
        stages.route(desk.context, "3.0.0", direct=False, alone=True)


def test_a_run_that_was_gone_on_with_is_not_over(desk: Desk, tmp_path: Path) -> None:
    over = ended(desk, "done", seconds=30)
    journals = desk.run().journal.path.parent
    assert presence.over_for(journals, over) is not None
    assert presence.over_for(tmp_path, over) is None
    assert presence.over_for(tmp_path / "deeper", f"../{over}") is None

    desk.context.run(over).note({"type": "deployment-begin"})

    assert presence.over_for(journals, over) is None


@pytest.mark.parametrize("outcome", ["done", "failed", "mixed"])
@pytest.mark.parametrize("reason", ["deploy 3.0.0", f"rollback {NEW} -> {OLD}"])
def test_a_rollback_does_not_wait_for_a_run_of_this_controller_that_has_ended(
    desk: Desk, machines: Machines, outcome: str, reason: str
) -> None:
    over = ended(desk, outcome, seconds=10)
    machines["two"].lock = lock(reason, over) | {"silent": 10.0}

    assert back.rollback(desk.context, to=None, backup=None)["message"].startswith("1.0.0 serves")


def test_a_rollback_waits_for_whoever_went_on_with_a_run_that_has_ended(
    desk: Desk, machines: Machines
) -> None:
    over = ended(desk, "failed", seconds=10)
    machines["two"].lock = lock("deploy 3.0.0", over) | {"silent": 2.0}

    with pytest.raises(LockHeld):
        back.rollback(desk.context, to=None, backup=None)


def test_who_holds_leases_is_told_once_with_what_goes_on_where_they_are_gone(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].lock = lock("deploy 3.0.0", "d7") | {"silent": 12.4}
    machines["three"].lock = lock("db migrate 3.0.0", "d8") | {"expired": True}
    states = survey.look(desk.run().fleet, desk.run().lease_hosts).states.values()

    (event,) = holder.told(states, "demo")
    assert event["says"] == (
        "ann@desk holds the lock: deploy 3.0.0, heard 12 s ago; where its process is gone, "
        "changeover resume --env demo goes on, changeover abort --env demo takes it back"
    )


@pytest.mark.parametrize("resumed", [False, True])
def test_only_a_new_deployment_that_asked_for_its_lease_in_vain_owes_nothing(
    desk: Desk, machines: Machines, *, resumed: bool
) -> None:
    def break_off() -> None:
        raise SessionLost("two broke off", hint="look", host="two")

    for act in ("lock", "steal"):
        machines["two"].on(act, break_off)

    failed(lambda: deploy(desk, resumed=resumed))

    run = next(event["deployment"] for event in desk.events if "deployment" in event)
    over = presence.over_for(desk.run().journal.path.parent, run)
    assert (over is None) is resumed
