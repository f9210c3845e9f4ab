"""Two agents on one host, each a process of its own: whose turn it is, and who waits how long."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.conftest import NONCE
from tests.unit.agent.stage import two

from changeover.agent import lease, main, turn
from changeover.agent.colour import processes
from changeover.agent.smoke import private_nginx
from changeover.agent.system import filelock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

    from changeover.agent.call import Call

Line = dict[str, Any]
SECONDS = 20


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


class Agent:
    """An agent in a process of its own, and what it answered last."""

    def __init__(self, answer: Path, act: Callable[[], Line]) -> None:
        self._answer = answer
        self.process = os.fork()
        if self.process == 0:
            code = 1
            try:
                answer.write_text(json.dumps(act()))
                code = 0
            finally:
                os._exit(code)

    def ended(self) -> Line:
        assert os.waitpid(self.process, 0)[1] == 0
        line: Line = json.loads(self._answer.read_text())
        return line

    def killed(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def acting(machine: Machine, what: str, deployment: str, **parameters: object) -> Agent:
    """Start an action in another process and wait until it is its turn."""
    action = {"action": what, **parameters}
    agent = Agent(
        machine.root / "answer", lambda: machine.request(action, deployment=deployment)[-1]
    )
    wait_for(lambda: filelock.is_held(machine.root / "var/lib/changeover/sample/agent.lock"))
    return agent


def holding(machine: Machine, what: str, lock: str, seconds: float = 60) -> Agent:
    """Have another process hold a turn, as an action does that cannot be interrupted."""

    def hold() -> Line:
        with turn.taken(machine.call("of-another"), what):
            time.sleep(seconds)
        return {}

    agent = Agent(machine.root / "answer", hold)
    wait_for(lambda: filelock.is_held(machine.root / "var/lib/changeover/sample" / lock))
    return agent


@contextlib.contextmanager
def told(line: Line) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(str(line))
        raise


def switched(machine: Machine, *, confirmed: bool = True) -> tuple[str, str]:
    """Return the colour before and the live one; the one before drains, deaf to its end."""
    old, new = machine.up("1.0.0"), machine.up("2.0.0")
    for number, colour in enumerate((old, new)):
        machine.do("switch", f"d{number}", colour=colour, deadman_seconds=9)
        if number == 0 or confirmed:
            machine.do("confirm", f"d{number}", colour=colour)
    (machine.root / f"units/sample-web@{old}.service.deaf").touch()
    return old, new


def test_a_revert_goes_before_a_drain_and_gets_the_colour_that_drains(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = switched(machine)
    monkeypatch.setattr(processes, "STOPPING_SECONDS", 0.2)
    monkeypatch.setattr(turn, "WAIT_SECONDS", SECONDS)
    drain = acting(machine, "stop", "d1", colour=old, drain_seconds=600)

    lines = machine.request({"action": "revert"}, deployment="d2")

    with told(lines[-1]):
        assert lines[-1]["result"]["to"] == machine.live == old
    assert "to finish its drain" in "".join(line.get("message", "") for line in lines)
    assert drain.ended()["error"] == "overtaken"
    running = {one["colour"]: one["running"] for one in machine.do("state")["releases"]}
    assert running == {old: True, new: True}
    assert machine.refuse("stop", "d1", colour=old)["error"] == "colour-live"


def test_a_revert_goes_before_a_start(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = switched(machine)
    third = machine.place("3.0.0")
    monkeypatch.setattr(turn, "WAIT_SECONDS", SECONDS)
    start = acting(machine, "start", "d3", colour=third, timeout_seconds=600)

    assert machine.do("revert", "d2")["to"] == old

    assert start.ended()["error"] == "overtaken"
    machine.listen(third, "http")
    assert machine.do("start", "d3", colour=third)["already"], "a re-run goes on from there"


def test_the_deadman_goes_before_a_drain(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = switched(machine, confirmed=False)
    third = machine.up("3.0.0")
    (machine.root / f"units/sample-web@{third}.service.deaf").touch()
    drain = acting(machine, "stop", "d3", colour=third, drain_seconds=600)

    monkeypatch.setattr(turn, "WAIT_SECONDS", 0.3)
    assert main._take_back(machine.host, machine.call("d9")) == main.FAILED  # noqa: SLF001
    monkeypatch.setattr(turn, "WAIT_SECONDS", SECONDS)
    assert main._take_back(machine.host, machine.call("d1")) == main.DONE  # noqa: SLF001

    assert machine.live == old
    assert drain.ended()["error"] == "overtaken"


def test_a_revert_does_not_wait_for_a_backup(machine: Machine) -> None:
    old, _ = switched(machine)
    backup = holding(machine, "backup_create", "backup.lock")

    lines = machine.request({"action": "revert"}, deployment="d2")

    with told(lines[-1]):
        assert lines[-1]["result"]["to"] == machine.live == old
    backup.killed()


def test_a_revert_waits_for_a_switch_and_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = switched(machine)
    monkeypatch.setattr(filelock, "SAY_SECONDS", 0.1)
    switch = holding(machine, "switch", "agent.lock", seconds=0.7)

    lines = machine.request({"action": "revert"}, deployment="d2")

    assert switch.ended() == {}
    assert lines[-1]["result"]["to"] == machine.live == old
    said = [line["message"] for line in lines if line["type"] == "progress"]
    assert said[0].startswith("waiting for switch of of-another since ")
    assert len(said) > 2


def test_a_revert_takes_the_turn_of_an_agent_that_was_killed(machine: Machine) -> None:
    old, _ = switched(machine)
    switch = holding(machine, "switch", "agent.lock")
    switch.killed()

    assert machine.do("revert", "d2")["to"] == old


@pytest.mark.parametrize(
    ("what", "lock", "action"),
    [
        ("switch", "agent.lock", {"action": "revert"}),
        ("switch", "agent.lock", {"action": "prune", "keep": []}),
        ("backup_create", "backup.lock", {"action": "backup_retain", "keep": 1}),
    ],
)
def test_at_the_deadline_the_one_who_is_waited_for_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, what: str, lock: str, action: Line
) -> None:
    switched(machine)
    monkeypatch.setattr(turn, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(turn, "BACKUP_SECONDS", 0.3)
    other = holding(machine, what, lock)

    failure = machine.request(action, deployment="d2")[-1]

    assert failure["error"] == "agent-busy"
    assert failure["cause"].startswith(f"{what} of of-another since ")
    other.killed()


def test_an_overtaken_controllers_revert_interrupts_nobody(machine: Machine) -> None:
    old, new = switched(machine)
    drain = acting(machine, "stop", "d1", colour=old, drain_seconds=2)
    overtaken = {"number": machine.number - 1, "nonce": NONCE}

    refused = machine.request({"action": "revert"}, deployment="d0", fence=overtaken)[-1]

    assert refused["error"] == "fenced"
    assert drain.ended()["result"]["killed"], "it drained to its end"
    assert machine.live == new


def test_one_that_waited_is_held_against_the_lease_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, new = switched(machine)
    switch = holding(machine, "switch", "agent.lock", seconds=1)
    steal = {"action": "steal", "owner": "x", "reason": "y", "ttl_seconds": 60, "nonce": "n" * 9}
    waited: list[str] = []
    check = lease.check

    def checked(call: Any) -> None:  # noqa: ANN401
        check(call)
        if not waited:
            waited.append(machine.request(steal)[-1]["type"])

    monkeypatch.setattr(lease, "check", checked)
    failure = machine.request({"action": "revert"}, deployment="d2")[-1]

    assert waited == ["done"]
    assert failure["error"] == "fenced"
    assert machine.live == new
    switch.ended()


def test_what_cannot_be_tidied_keeps_nobody_from_going_back(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = two(proxied)

    def stay(_: Call) -> None:
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(private_nginx, "end", stay)

    refused = proxied.refuse("stop", colour=old, drain_seconds=1)

    assert refused["error"] == "system-refused"
    assert "Directory not empty" in refused["cause"]
    assert proxied.do("revert", to=old, closing_seconds=0)["to"] == old
