"""HTTP to a unix socket, apart from what asks nobody: its library is a fifth of what an agent's start costs."""

from __future__ import annotations

import http.client
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NotHttp = http.client.HTTPException


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket; all that is asked of it has one deadline.

    Args:
        path: The socket.
        seconds: How long it may take from the connecting on, however slowly the answer comes.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost")
        self._path, self._seconds = path, seconds

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = _Hurried(time.monotonic() + self._seconds)
        self.sock.settimeout(self._seconds)
        self.sock.connect(str(self._path))


class _Hurried(socket.socket):
    """A socket that is read until a deadline: one that trickles is no better than a silent one."""

    def __init__(self, deadline: float) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._deadline = deadline

    def recv_into(self, *arguments: Any) -> int:  # noqa: ANN401 - as the socket's own
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)
        return super().recv_into(*arguments)
