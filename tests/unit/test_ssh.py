"""What of an agent's words counts when its session is cut."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from changeover import ssh
from changeover.ssh_failures import SessionLost

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


class CutLine(ssh.Line):
    """A connection whose only session is the one that was given."""

    session: Session

    def _channel(self, *, fresh: bool) -> Session:
        del fresh
        return self.session


@pytest.mark.parametrize("cut", [b'{"type": "done", "id": "confi', b"{", b"\xc3", b"[1, 2]\n"])
def test_a_session_that_is_cut_within_a_line_is_lost(project: Project, cut: bytes) -> None:
    near, far = socket.socketpair()
    line = CutLine(project.environment, project.environment.hosts[0])
    line.session = Session(fileno=near.detach())
    with far:
        far.sendall(b'a banner\n{"type": "done", "id": "switch"}\n' + cut)
        far.shutdown(socket.SHUT_WR)

        with pytest.raises(SessionLost, match="ended after 1 of 2 actions"):
            line.agent({"actions": [{}, {}]}, print)
