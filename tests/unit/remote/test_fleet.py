"""The hosts asked at once: what an interrupt does while they are at work."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from changeover.remote import fleet as fleets
from changeover.remote.failures import HostSilent, HostUnreachable, SessionLost
from changeover.remote.fleet import Fleet, action, on_each
from changeover.remote.line import Line, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.unit.conftest import Project

    from changeover.errors import ChangeoverError
    from changeover.inventory import Environment, Host

Event = dict[str, Any]


class BusyLine(Line):
    """A host at work on an action that ends only when its connection does."""

    def __init__(self, environment: Environment, host: Host) -> None:
        super().__init__(environment, host)
        self.host = host
        self.closed = threading.Event()
        self.ended_itself = False

    def agent(
        self, request: Mapping[str, Any], report: Callable[[Event], None], **_: object
    ) -> list[Reply]:
        del request, report
        self.ended_itself = not self.closed.wait(60)
        raise SessionLost("it broke off", hint="look", host=self.host.name)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Hear interrupts, also where the tests run in the background and a shell had them ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_answered_and_waits_for_no_host_for_long(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleets, "LEAVE_SECONDS", 0.5)
    told: list[Event] = []
    lines: list[BusyLine] = []

    def connect(environment: Environment, host: Host) -> Line:
        lines.append(BusyLine(environment, host))
        return lines[-1]

    hosts = project.environment.hosts_in("app")
    fleet = fleet_of(project.environment, connect, told.append)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        on_each(fleet, hosts, lambda _: [action("stop")], again=True)

    assert [event["says"] for event in told] == [
        "interrupted: waiting up to 0 s for what the hosts have begun"
    ]
    assert [line.ended_itself for line in lines] == [False] * len(hosts)
    assert fleet.sessions.total() == len(hosts)


@dataclass
class CutLine:
    """A host whose first sessions end early."""

    cuts: list[ChangeoverError]
    asked: int = 0

    def agent(self, *_: object, **__: object) -> list[Reply]:
        self.asked += 1
        if self.cuts:
            raise self.cuts.pop(0)
        return [Reply(id="stop", result={}, skipped=False)]


ENDED = SessionLost("it ended after 0 of 1 actions", hint="look")
GONE = HostUnreachable("it does not answer SSH", hint="look")
SILENT = HostSilent("it has been silent for 60 s", hint="look")


@pytest.mark.parametrize(
    ("cuts", "again", "asked", "told"),
    [
        ([ENDED], True, 2, None),
        ([ENDED, ENDED], True, 2, ENDED),
        ([ENDED, GONE], True, 2, ENDED),
        ([ENDED], False, 1, ENDED),
        ([SILENT], True, 1, SILENT),
        ([GONE], True, 1, GONE),
    ],
)
def test_a_host_whose_session_ended_is_asked_once_more_where_that_may_be(
    project: Project,
    cuts: list[ChangeoverError],
    *,
    again: bool,
    asked: int,
    told: ChangeoverError | None,
) -> None:
    line = CutLine(list(cuts))
    fleet = fleet_of(project.environment, lambda *_: line, lambda _: None)

    (host, *_) = project.environment.hosts_in("app")
    answers = on_each(fleet, [host], lambda _: [action("stop")], again=again)

    assert (line.asked, answers.errors.get(host.name)) == (asked, told)


def fleet_of(
    environment: Environment, connect: Callable[..., Any], report: Callable[[Event], None]
) -> Fleet:
    return Fleet(
        environment=environment,
        app="hello",
        deployment="d1",
        owner="me",
        nonce="nonce",
        report=report,
        connect=connect,
    )


def test_what_hosts_said_is_told_in_their_order_whoever_was_first(project: Project) -> None:
    hosts = project.environment.hosts_in("app")
    ended = threading.Event()

    class Failing(Line):
        def __init__(self, environment: Environment, host: Host) -> None:
            super().__init__(environment, host)
            self.host = host

        def agent(self, *_: object, **__: object) -> list[Reply]:
            if self.host.name == hosts[-1].name:
                ended.set()
            else:
                assert ended.wait(60)
            raise HostUnreachable("no answer", hint="look", host=self.host.name)

    answers = on_each(
        fleet_of(project.environment, Failing, print), hosts, lambda _: [action("state")]
    )

    assert list(answers.errors) == [host.name for host in hosts]
    assert len(hosts) > 1
