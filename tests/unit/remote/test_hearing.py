"""How long a host may say nothing, and who is told."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from changeover.remote.failures import SessionLost
from changeover.remote.hearing import WITHOUT_BEATS_SECONDS, Ear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GREETING = b'{"type": "version", "beat_seconds": 3}\n{"type": "intent", "action": "place"}\n'


@pytest.fixture
def session() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def ear(report: Callable[[dict[str, Any]], None], give_up: float) -> Ear:
    return Ear(host="app1", hint="changeover status", report=report, alarm=0.05, give_up=give_up)


def test_silence_is_told_with_what_it_is_in_and_then_ends_the_session(
    session: tuple[socket.socket, socket.socket],
) -> None:
    near, far = session
    far.sendall(GREETING)
    told: list[dict[str, Any]] = []

    with pytest.raises(SessionLost, match="app1 has been silent for 0 s in place"):
        list(ear(told.append, 0.2).events(near))

    assert {event["type"] for event in told} == {"host-silent"}
    assert told[0]["says"] == "app1: nothing heard for 0 s in place"


def test_a_host_that_is_heard_again_is_told_and_listened_to(
    session: tuple[socket.socket, socket.socket],
) -> None:
    near, far = session
    far.sendall(GREETING)
    told: list[str] = []

    def report(event: dict[str, Any]) -> None:
        told.append(event["type"])
        if event["type"] == "host-silent":
            far.sendall(b'{"type": "beat"}\n{"type": "done", "id": "place"}\n')
            far.shutdown(socket.SHUT_WR)

    heard = [event["type"] for event in ear(report, 60).events(near)]

    assert heard == ["version", "intent", "beat", "done"]
    assert told == ["host-silent", "host-heard"]


def test_an_agent_from_before_there_were_beats_is_given_its_time(
    session: tuple[socket.socket, socket.socket],
) -> None:
    near, far = session
    far.sendall(b'{"type": "version", "protocol": 1}\n')
    far.shutdown(socket.SHUT_WR)
    listening = ear(print, 0.2)

    list(listening.events(near))

    assert listening.give_up == WITHOUT_BEATS_SECONDS


def test_a_session_that_ends_is_not_a_host_that_is_heard_again(
    session: tuple[socket.socket, socket.socket],
) -> None:
    near, far = session
    told: list[str] = []

    def report(event: dict[str, Any]) -> None:
        told.append(event["type"])
        far.shutdown(socket.SHUT_WR)

    assert list(ear(report, 60).events(near)) == []
    assert told == ["host-silent"]
