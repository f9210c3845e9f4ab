"""What nobody asks for and nobody waits for has an end of its own, by systemd or by the kernel."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from changeover.agent import alive, dispatch, host, lease, main, protocol, running
from changeover.agent.system import clock
from changeover.agent.system.clock import Moment
from changeover.agent.traffic import share

from .conftest import APP, NONCE
from .stage import two

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters

    from .conftest import Machine


@pytest.fixture
def systemd(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the socket on which systemd would hear a unit of its own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(machine.root / "notify"))
        heard.settimeout(0)
        monkeypatch.setenv(alive.SOCKET, str(machine.root / "notify"))
        yield heard


def words(heard: socket.socket) -> list[bytes]:
    said = []
    try:
        while True:
            said.append(heard.recv(100))
    except BlockingIOError:
        return said


def kept_to(noted: str, unit: str) -> set[str]:
    line = next(line for line in noted.splitlines() if f"systemd-run --unit={unit}" in line)
    return {word.removeprefix("--property=") for word in line.split() if "--property=" in word}


def test_systemd_ends_a_deadman_that_gives_no_sign_and_one_that_never_ends(
    machine: Machine,
) -> None:
    _, new = two(machine)
    machine.do("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)

    assert {
        *("Type=notify", "WatchdogSec=45", "WatchdogSignal=SIGKILL", "TimeoutStartSec=45"),
        *("RuntimeMaxSec=300", "Restart=on-failure", "StartLimitIntervalSec=0"),
    } <= kept_to(machine.noted, "changeover-deadman-sample-d2")


def test_a_deadman_tells_systemd_that_it_lives_while_it_waits(
    machine: Machine, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    def wait(*_: object) -> int:
        systemd.settimeout(60)
        heard.extend([systemd.recv(100), systemd.recv(100)])
        return main.DONE

    monkeypatch.setattr(main, "_take_back", wait)
    present = machine.host
    monkeypatch.setattr(host, "read", lambda _: present)
    telling = alive.telling
    monkeypatch.setattr(alive, "telling", lambda: telling(0.001))
    path = machine.root / "about"
    path.write_text(json.dumps({"app": APP, "deployment": "d2"}))

    assert main.main("test", ["deadman", str(path)]) == main.DONE
    assert heard == [alive.READY, alive.LIVES]


def test_what_ends_a_share_tells_at_each_look_that_it_lives(
    machine: Machine, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = machine.call("d2")
    moment = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: moment[0])
    call.places.secrets.mkdir(parents=True)
    share._save(call.places, share.made(call, "2.0.0-00000000", 5, 30))  # noqa: SLF001
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        moment[0] = Moment(moment[0].wall, moment[0].boot, moment[0].uptime + seconds)

    assert share.watch(call, sleep)
    assert max(slept) <= 3
    assert words(systemd) == [alive.LIVES] * (len(slept) + 1)


def asked(machine: Machine, action: str, **parameters: object) -> protocol.Request:
    fence = {"number": machine.number, "nonce": NONCE}
    raw = {"protocol": 1, "app": APP, "deployment": "d1", "fence": fence}
    actions = [{"action": action, **parameters}]
    return protocol.parse(json.dumps({**raw, "actions": actions}).encode())


def test_one_that_changes_the_lease_and_hangs_is_ended_by_the_kernel(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()

    def hangs(_call: Call, _given: Parameters) -> Result:
        os.write(writer, b"1")
        while True:
            time.sleep(600)

    monkeypatch.setattr(main, "BRIEF_SECONDS", 0.05)
    present = machine.host
    monkeypatch.setattr(host, "read", lambda _: present)
    monkeypatch.setitem(dispatch.LEASING, "renew", hangs)

    request = asked(machine, "renew", ttl_seconds=60)
    assert main._apart("test", request, protocol.Replies(io.BytesIO())) == main.FAILED  # noqa: SLF001
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)


@contextlib.contextmanager
def stopped(machine: Machine, action: str, **parameters: object) -> Iterator[int]:
    """Begin such an action as its agent would, and stop that process while it holds its lock."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()

        def hold(call: Call, _given: Parameters) -> Result:
            held = share._held if action == "canary_look" else lease._held  # noqa: SLF001
            with held(call):
                os.write(writer, b"1")
                time.sleep(600)
            return {}

        table = dispatch.RENEWING if action == "canary_look" else dispatch.LEASING
        table[action] = hold
        dispatch.run(
            machine.host, asked(machine, action, **parameters), protocol.Replies(io.BytesIO())
        )
        os._exit(1)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.kill(child, signal.SIGSTOP)
    yield child
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("action", ["renew", "canary_look"])
def test_one_that_is_stopped_is_killed_by_whoever_waits_for_it_and_never_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr(running, "PROOF_SECONDS", 0)
    with stopped(machine, action) as child:
        assert machine.do("state")["at_work"] == []
        monkeypatch.setattr(running, "HUNG_SECONDS", -1)
        if action == "renew":
            last = machine.request({"action": "renew", "ttl_seconds": 60})[-1]
        else:
            call = machine.call()
            share._save(call.places, share.made(call, "2.0.0-00000000", 5, 30))  # noqa: SLF001
            last = machine.request({"action": "canary_end"})[-1]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert last["type"] == "done"
