"""The heartbeat: each host's lease lives by itself, and losing one ends the run."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest

from changeover.executors import lease
from changeover.executors.lease import Heartbeat, LeaseTaken, LeaseUnrenewed
from changeover.runner import by_hand, finish
from changeover.runner.rollback import back

from .conftest import failed

if TYPE_CHECKING:
    from changeover.runner.run import Run

    from .conftest import Desk, Machines

LIFE_SECONDS = 0.6


def leased(desk: Desk) -> Run:
    run = desk.run()
    lease.lock(run.fleet, run.lease_hosts, "test", 60, steal=False)
    return run


def renewals(machines: Machines, host: str) -> list[float]:
    return [at for at, _, name, asked in machines.calls if (name, asked) == (host, ["renew"])]


def test_a_host_that_hangs_keeps_no_other_lease_from_being_renewed(
    desk: Desk, machines: Machines
) -> None:
    run, free = leased(desk), threading.Event()
    machines["two"].on("renew", lambda: free.wait(5))

    with Heartbeat(run.fleet, run.lease_hosts, LIFE_SECONDS):
        time.sleep(LIFE_SECONDS * 2)
        beats = renewals(machines, "one")
        free.set()

    assert len(beats) >= 4
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert max(gaps) < LIFE_SECONDS


def test_a_lease_is_renewed_on_a_connection_of_its_own(desk: Desk, machines: Machines) -> None:
    run = leased(desk)

    with Heartbeat(run.fleet, run.lease_hosts, LIFE_SECONDS):
        time.sleep(LIFE_SECONDS / 2)

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
        heartbeat.check()
        time.sleep(LIFE_SECONDS)
        with pytest.raises(LeaseTaken) as caught:
            heartbeat.check()

    assert (caught.value.exit_code, caught.value.host) == (5, "one")
    assert "overtaken by ann" in caught.value.message


def test_a_host_that_was_out_of_reach_for_a_while_is_asked_again(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RETRY_SECONDS", 0.05)
    run = leased(desk)
    machines["two"].reachable = False

    with Heartbeat(run.fleet, run.lease_hosts, LIFE_SECONDS) as heartbeat:
        time.sleep(LIFE_SECONDS * 0.6)
        heartbeat.check()
        time.sleep(LIFE_SECONDS * 0.8)
        assert isinstance(failed(heartbeat.check), LeaseUnrenewed)
        machines["two"].reachable = True
        time.sleep(LIFE_SECONDS / 2)
        heartbeat.check()


def test_a_run_begins_no_step_after_its_lease_is_lost(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changeover.runner.run.LEASE_SECONDS", LIFE_SECONDS)
    machines["three"].on("renew", lambda: machines["three"].refuse("fenced", "overtaken by ann"))
    machines["one"].on("revert", lambda: time.sleep(LIFE_SECONDS))

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
