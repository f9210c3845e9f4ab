"""An app's own sockets: what is asked of them ends, whatever answers."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from socketserver import BaseRequestHandler, UnixStreamServer
from typing import TYPE_CHECKING

import pytest

from changeover.agent.colour import sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


class Trickling(BaseRequestHandler):
    """Answers 200, with a letter now and then in between: each read gets something."""

    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(HEAD + b"X-Slow: ")
        over = threading.Event()
        for _ in range(30):
            try:
                self.request.sendall(b".")
            except OSError:
                return
            over.wait(0.1)
        self.request.sendall(b"\r\n\r\n{}")


@pytest.fixture
def trickling() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="co-") as name:
        path = Path(name) / "http.sock"
        with UnixStreamServer(str(path), Trickling) as server:
            turns = threading.Thread(target=server.serve_forever, args=(0.02,))
            turns.start()
            yield path
            server.shutdown()
            turns.join()


def test_an_answer_that_trickles_is_waited_for_no_longer_than_one_that_never_comes(
    trickling: Path,
) -> None:
    assert sockets.well(trickling, "/health", 0.5) == "http.sock/health: timed out"
    assert sockets.well(trickling, "/health", 30) is None
