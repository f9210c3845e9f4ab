"""What of an agent's words counts when its session is cut."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import paramiko
import pytest

from changeover.remote.failures import SessionLost
from changeover.remote.line import Line
from changeover.remote.ssh import AccessUnreadable

if TYPE_CHECKING:
    from tests.unit.conftest import Project


class Session(socket.socket):
    """A session of which only the agent's words matter."""

    def exec_command(self, _command: str) -> None:
        pass

    def shutdown_write(self) -> None:
        pass

    def recv_stderr(self, _count: int) -> bytes:
        return b""


class CutLine(Line):
    """A connection whose only session is the one that was given."""

    session: Session

    def _channel(self, *, fresh: bool, seconds: float) -> Session:
        del fresh, seconds
        return self.session


@pytest.mark.parametrize(
    "cut", [b'{"type": "done", "id": "confi', b"{", b"\xc3", b"7\n", b'{"x": 1}\n']
)
def test_a_session_that_is_cut_within_a_line_is_lost(project: Project, cut: bytes) -> None:
    near, far = socket.socketpair()
    line = CutLine(project.environment, project.environment.hosts[0])
    line.session = Session(fileno=near.detach())
    with far:
        far.sendall(b'a banner\n{"type": "done", "id": "switch"}\n' + cut)
        far.shutdown(socket.SHUT_WR)

        with pytest.raises(SessionLost, match="ended after 1 of 2 actions"):
            line.agent({"actions": [{}, {}]}, print)


class LeavingSession(Session):
    """A session whose connection is lost right after the last word."""

    def close(self) -> None:
        super().close()
        raise EOFError


def test_what_was_answered_counts_although_the_connection_is_lost_right_after(
    project: Project,
) -> None:
    near, far = socket.socketpair()
    line = CutLine(project.environment, project.environment.hosts[0])
    line.session = LeavingSession(fileno=near.detach())
    with far:
        far.sendall(b'{"type": "done", "id": "switch"}\n')
        far.shutdown(socket.SHUT_WR)

        replies = line.agent({"actions": [{}]}, print)

    assert [reply.id for reply in replies] == ["switch"]


class DeadLine(Line):
    """A connection that opens no session any more."""

    def _channel(self, *, fresh: bool, seconds: float) -> Session:
        del fresh, seconds
        raise paramiko.SSHException("Timeout opening channel.")


def test_a_connection_that_opens_no_session_is_lost(project: Project) -> None:
    line = DeadLine(project.environment, project.environment.hosts[0])

    with pytest.raises(SessionLost, match="broke off") as caught:
        line.agent({"actions": [{}]}, print)

    assert caught.value.cause == "Timeout opening channel."
    assert caught.value.host == project.environment.hosts[0].name


def test_why_a_host_was_not_reached_ahead_is_told_to_the_first_request(project: Project) -> None:
    """Nobody waits twice for a host that is away: what was found out already is told."""
    environment = project.environment
    line = Line(environment, environment.hosts[0])
    environment.known_hosts.unlink(missing_ok=True)
    line.reach()
    environment.known_hosts.parent.mkdir(parents=True, exist_ok=True)
    environment.known_hosts.write_text("")

    with pytest.raises(AccessUnreadable, match="the recorded host keys"):
        line.agent({"actions": [{}]}, print)
    with pytest.raises(AccessUnreadable, match="the deploy key"):
        line.agent({"actions": [{}]}, print)
