"""The heartbeat: each host's lease lives by itself, and losing one ends the run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until
from tests.unit.runner.desk import failed

from changeover.executors import lease
from changeover.executors.lease import Heartbeat, LeaseTaken, LeaseUnrenewed
from changeover.remote.failures import SessionLost
from changeover.runner import by_hand
from changeover.runner.deployment import finish
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.errors import ChangeoverError
    from changeover.runner.run import Run

LIFE_SECONDS = 1.5


def leased(desk: Desk) -> Run:
    run = desk.run()
    lease.lock(run.fleet, run.lease_hosts, "test", 60, steal=False)
    return run


def renewals(machines: Machines, host: str) -> list[float]:
    return [at for at, _, name, asked in machines.calls if (name, asked) == (host, ["renew"])]


def lost(heartbeat: Heartbeat) -> ChangeoverError:
    """Wait until a lease is lost, and return how."""
    found: list[ChangeoverError] = []

    def over() -> bool:
        try:
            heartbeat.check()
        except (LeaseTaken, LeaseUnrenewed) as error:
            found.append(error)
        return bool(found)

    until(over)
    return found[0]


def renewed_to_its_end(machines: Machines, host: str) -> bool:
    """Tell whether a host was asked to renew, and is asked no more."""
    asking = any(thread.name == f"lease {host}" for thread in threading.enumerate())
    return bool(renewals(machines, host)) and not asking


def held(heartbeat: Heartbeat) -> bool:
    try:
        heartbeat.check()
    except (LeaseTaken, LeaseUnrenewed):
        return False
    return True


def test_a_host_that_hangs_keeps_no_other_lease_from_being_renewed(
    desk: Desk, machines: Machines
) -> None:
    run, free = leased(desk), threading.Event()
    machines["two"].on("renew", lambda: free.wait(60))

    with Heartbeat(run.fleet, run.lease_hosts, LIFE_SECONDS):
        until(lambda: len(renewals(machines, "one")) >= 4)
        hung = not free.is_set()
        free.set()

    assert hung
    assert len(renewals(machines, "two")) == 1


def test_a_lease_is_renewed_on_a_connection_of_its_own(desk: Desk, machines: Machines) -> None:
    run = leased(desk)

    with Heartbeat(run.fleet, run.lease_hosts, LIFE_SECONDS):
        until(lambda: all(renewals(machines, name) for name in ("one", "two", "three")))

    used = {id(line): name for _, line, name, asked in machines.calls if asked == ["renew"]}
    others = {id(line) for _, line, _, asked in machines.calls if asked != ["renew"]}
    assert sorted(used.values()) == ["one", "three", "two"]
    assert not others & used.keys()


def test_a_lease_that_somebody_took_is_said_before_the_next_step(
    desk: Desk, machines: Machines
) -> None:
    run = leased(desk)
    machines["one"].on("renew", lambda: machines["one"].refuse("fenced", "overtaken by ann"))

    with Heartbeat(run.fleet, run.lease_hosts, LIFE_SECONDS) as heartbeat:
        error = lost(heartbeat)

    assert isinstance(error, LeaseTaken)
    assert (error.exit_code, error.host) == (5, "one")
    assert "overtaken by ann" in error.message


def test_a_host_that_was_out_of_reach_for_a_while_is_asked_again(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RETRY_SECONDS", 0.05)
    run = leased(desk)
    machines["two"].reachable = False

    with Heartbeat(run.fleet, run.lease_hosts, LIFE_SECONDS) as heartbeat:
        assert isinstance(lost(heartbeat), LeaseUnrenewed)
        machines["two"].reachable = True
        until(lambda: held(heartbeat))


def test_a_run_begins_no_step_after_its_lease_is_lost(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changeover.runner.run.LEASE_SECONDS", LIFE_SECONDS)
    machines["three"].on("renew", lambda: machines["three"].refuse("fenced", "overtaken by ann"))
    machines["one"].on("revert", lambda: until(lambda: renewed_to_its_end(machines, "three")))

    error = failed(lambda: back.rollback(desk.context, to=None, backup="b1"))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at restore: the lease on three is ours no more")
    assert ("three", "backup_restore") not in machines.order


def test_a_database_host_that_was_made_anew_counts_on_from_the_ledgers_number(
    desk: Desk, machines: Machines
) -> None:
    machines.ledger_fence = 57
    stage, held = finish.prepare(desk.context), {}
    machines["one"].on("retire", lambda: held.update(stage.run.fleet.fences))

    finish.walk(stage)

    assert held == {"one": 7, "two": 7, "three": 58}


def test_a_run_by_hand_takes_a_lease_beyond_the_ledgers_number(desk: Desk) -> None:
    with by_hand.leased(desk.context, "db migrate", "3.0.0", hint="again", beyond=57) as run:
        held = dict(run.fleet.fences)

    assert held == {"one": 7, "two": 7, "three": 58}


@pytest.mark.parametrize("how", ["red", "lost"])
def test_a_lease_whose_host_cannot_tell_its_state_is_given_back(
    desk: Desk, machines: Machines, how: str
) -> None:
    two = machines["two"]

    def breaks() -> None:
        if how == "red":
            two.refuse("agent-defect", "state met what it does not handle")
        raise SessionLost("two broke off", hint="look", host="two")

    two.on("state", breaks)

    error = failed(lambda: leased(desk))

    assert error.host == "two"
    assert [machines[name].lock for name in ("one", "two", "three")] == [None] * 3


def test_a_lease_that_nobody_can_give_back_is_told_with_its_end(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]

    def goes() -> None:
        two.lose()
        raise SessionLost("two broke off", hint="look", host="two")

    two.on("state", goes)

    error = failed(lambda: leased(desk))

    assert error.cause == "the lease that may be held on two expires within 60 s"
    assert machines["one"].lock is None


def test_who_is_refused_a_lease_takes_nobodys(desk: Desk, machines: Machines) -> None:
    machines["two"].lock = {"owner": "ann", "reason": "deploy 3.0.0"}

    error = failed(lambda: leased(desk))

    assert error.exit_code == 5
    assert machines["two"].lock == {"owner": "ann", "reason": "deploy 3.0.0"}
    assert machines["two"].asked.count("lock") == 1
