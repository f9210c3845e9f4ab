"""A request at work is listed, is followed by the same one, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.conftest import APP, NONCE

from changeover.agent import dispatch, main, protocol, running
from changeover.agent.failure import ActionError
from changeover.agent.traffic import nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.agent.conftest import Machine

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters

STOP = {"action": "stop", "colour": "1.0.0-00000000", "drain_seconds": 9}


class Gated:
    """An action that says that it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun, self.ends = threading.Event(), threading.Event()
        self.runs = 0
        self.fails = False

    def __call__(self, call: Call, given: Parameters) -> Result:
        del given
        self.runs += 1
        self.begun.set()
        assert self.ends.wait(60)
        call.progress("nearly")
        if self.fails:
            raise ActionError("unit-failed", "it did not stop")
        return {"run": self.runs}


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gated]:
    made = Gated()
    monkeypatch.setitem(dispatch.ACTING, "stop", made)
    yield made
    made.ends.set()


def asked(
    machine: Machine, *actions: dict[str, Any], deployment: str = "d1"
) -> Callable[[], list[dict[str, Any]]]:
    """Begin a request in a thread; return what waits for its lines."""
    lines: list[dict[str, Any]] = []

    def ask() -> None:
        lines.extend(machine.request(*actions, deployment=deployment))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()

    def answer() -> list[dict[str, Any]]:
        thread.join(60)
        return lines

    return answer


def test_a_request_at_work_is_told_and_then_gone(machine: Machine, gated: Gated) -> None:
    answer = asked(machine, STOP)
    assert gated.begun.wait(60)

    (shown,) = machine.do("state")["at_work"]
    gated.ends.set()

    assert (shown["deployment"], shown["action"]) == ("d1", "stop")
    assert answer()[-1]["type"] == "done"
    assert machine.do("state")["at_work"] == []
    assert list((machine.root / "run/changeover/.running-sample").iterdir()) == []


def test_the_same_request_of_a_deployment_takes_the_result(
    machine: Machine, gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asked(machine, STOP)
    assert gated.begun.wait(60)
    monkeypatch.setattr(running, "POLL_SECONDS", 0.001)
    followed = threading.Event()
    look = running._followed  # noqa: SLF001

    def told(*arguments: Any) -> Result | None:  # noqa: ANN401
        followed.set()
        return look(*arguments)

    monkeypatch.setattr(running, "_followed", told)
    second = asked(machine, STOP)
    assert followed.wait(60)
    gated.ends.set()

    assert first()[-1]["result"] == {"run": 1}
    assert second()[-1]["result"] == {"run": 1, "adopted": True}
    assert "nearly" in json.dumps(second())


@pytest.mark.parametrize("other", ["deployment", "parameters", "failed"])
def test_what_is_not_the_same_or_failed_is_done_anew(
    machine: Machine, gated: Gated, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    first = asked(machine, STOP)
    assert gated.begun.wait(60)
    gated.fails = other == "failed"
    waits = threading.Event()
    for name in ("_followed", "listed"):
        real = getattr(running, name)

        def told(*arguments: Any, real: Any = real) -> Any:  # noqa: ANN401
            waits.set()
            return real(*arguments)

        monkeypatch.setattr(running, name, told)
    again = {**STOP, "drain_seconds": 8} if other == "parameters" else STOP
    second = asked(machine, again, deployment="d2" if other == "deployment" else "d1")
    assert waits.wait(60)
    gated.ends.set()
    first()

    last = second()[-1]

    assert gated.runs == 2
    assert "adopted" not in last.get("result", {})


def test_one_that_was_killed_is_neither_listed_nor_followed(machine: Machine) -> None:
    child = os.fork()
    if child == 0:
        dispatch.ACTING["stop"] = lambda _call, _given: os._exit(9)
        machine.request(STOP)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    directory = machine.root / "run/changeover/.running-sample"
    assert len(list(directory.iterdir())) == 1

    assert machine.do("state")["at_work"] == []
    machine.do("prune", keep=[])

    assert list(directory.iterdir()) == []


def test_one_that_is_killed_before_it_is_listed_leaves_no_file(machine: Machine) -> None:
    child = os.fork()
    if child == 0:
        dies = SimpleNamespace(flock=lambda *_: os._exit(9), LOCK_EX=0, LOCK_NB=0)
        vars(running)["fcntl"] = dies
        machine.request(STOP)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

    assert list((machine.root / "run/changeover/.running-sample").iterdir()) == []


def test_its_file_tells_no_parameter(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def act(call: Call, given: Parameters) -> Result:
        del given
        directory = call.places.running
        seen.extend(path.read_text() for path in directory.iterdir())
        return {}

    monkeypatch.setitem(dispatch.ACTING, "place", act)
    machine.do("place", env={"TOKEN": "a secret value"})

    assert '"place"' in seen[0]
    assert "secret" not in seen[0]


def nothing(_: Call) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext()


def held(
    machine: Machine,
    *,
    app: str = APP,
    busy: Callable[[Call], contextlib.AbstractContextManager[object]] = nothing,
) -> int:
    """Begin the stop in a process of its own, in a unit, and stop that process half way."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:

        def hold(call: Call, _given: Parameters) -> Result:
            with busy(call):
                os.write(writer, b"1")
                time.sleep(600)
            return {}

        dispatch.ACTING["stop"] = hold
        fence = {"number": machine.number, "nonce": NONCE}
        lease = {"owner": "a", "reason": "b", "ttl_seconds": 600, "nonce": NONCE}
        actions = [{"action": "lock", **lease, "at_least": machine.number}, STOP]
        raw = {"protocol": 1, "app": app, "deployment": "d1", "fence": fence, "actions": actions}
        replies = protocol.Replies(io.BytesIO())
        parsed = protocol.parse(json.dumps(raw).encode())
        dispatch.run(machine.host, parsed, replies, f"held-{os.getpid()}.scope")
        os._exit(1)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.kill(child, signal.SIGSTOP)
    systemctl = machine.root / "bin/systemctl"
    ends = 'case $unit in held-*) unit=${unit#held-}; exec kill -9 "${unit%.scope}" ;; esac;'
    text = systemctl.read_text()
    systemctl.write_text(
        text.replace("kill) for unit in $names; do", f"kill) for unit in $names; do {ends}")
    )
    return child


@pytest.mark.parametrize("waiting", ["revert", "the dead-man", "the same"])
def test_a_holder_that_is_stopped_is_killed_by_whoever_waits_for_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, waiting: str
) -> None:
    old = machine.up("1.0.0")
    machine.do("switch", colour=old, closing_seconds=0)
    machine.do("confirm", colour=old)
    child = held(machine)
    monkeypatch.setattr(running, "HUNG_SECONDS", -1)
    monkeypatch.setattr(running, "PROOF_SECONDS", 0)
    monkeypatch.setitem(dispatch.ACTING, "stop", lambda _call, _given: {"run": "anew"})

    if waiting == "the dead-man":
        assert main._take_back(machine.host, machine.call("d2")) == 0  # noqa: SLF001
    elif waiting == "the same":
        assert machine.request(STOP)[-1]["result"] == {"run": "anew"}
    else:
        assert machine.do("revert", to=old, closing_seconds=0)["skipped"]

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_one_of_another_app_that_is_stopped_at_a_reload_is_killed_by_who_waits_for_nginx(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "HUNG_SECONDS", -1)
    monkeypatch.setattr(running, "PROOF_SECONDS", 0)
    monkeypatch.setattr(nginx, "LOCK_SECONDS", 20)
    child = held(machine, app="sample-api", busy=lambda call: nginx.closing(call, 0))

    with nginx.closing(machine.call("d2"), 0):
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_one_of_another_version_of_the_agent_is_listed_all_the_same(machine: Machine) -> None:
    directory = machine.root / "run/changeover/.running-sample"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "older.scope.jsonl").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write('{"type": "run", "deployment": "d0"}\n')
        stream.flush()

        (shown,) = machine.do("state")["at_work"]
        machine.do("prune", keep=[])

    assert shown["deployment"] == "d0"
