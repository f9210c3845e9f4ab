"""A server that is being started: the agent waits for it, and for no other that takes no connection."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import Server as Reached

from . import moments
from .own_server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .own_server import Server


@pytest.fixture
def own() -> Iterator[Server]:
    with running_server() as server:
        yield server


def test_a_session_begins_once_a_server_that_is_being_started_takes_it(own: Server) -> None:
    gate = own.directory / "gate"
    own.stop()
    (own.data / "recovery.signal").touch()
    own.settings = {"restore_command": f"while ! test -e {gate}; do sleep 0.05; done; false"}
    heard: list[str] = []
    answers: list[int] = []

    def say(line: str) -> None:
        heard.append(line)
        gate.touch()

    def ask() -> None:
        moments.until((own.directory / f".s.PGSQL.{own.port}").exists)
        reached = Reached(socket=str(own.directory), port=own.port, say=say)
        with Session(reached, "postgres") as session:
            answers.append(session.value("SELECT 1"))

    # The server ends with the thread that began it.
    asks = threading.Thread(target=ask)
    asks.start()
    own.start()
    asks.join()

    assert answers == [1]
    assert heard[0] == "the database server is being started"


def test_a_server_that_is_stopped_is_not_waited_for(own: Server) -> None:
    own.stop()
    heard: list[str] = []
    reached = Reached(socket=str(own.directory), port=own.port, say=heard.append)

    with pytest.raises(ActionError), Session(reached, "postgres"):
        pass

    assert heard == []
