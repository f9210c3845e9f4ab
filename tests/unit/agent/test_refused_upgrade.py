"""An upgrade that is refused is told as soon as the answer is whole, not when the connection ends."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from changeover.agent.smoke import websocket
from changeover.agent.smoke.client import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

WANTED: dict[str, Any] = {
    "path": "/ws",
    "headers": {},
    "subprotocols": [],
    "open_seconds": 600,
    "refused": None,
    "turns": [],
    "close": {"by": "client", "code": 1000, "within_seconds": 600},
}
WHOLE = [
    b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nno one",
    b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nno one\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("answer", WHOLE)
def test_the_answer_ends_the_wait_and_its_body_is_shown(tmp_path: Path, answer: bytes) -> None:
    said: list[str | None] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "http.sock"))
        listener.listen()
        endpoint = Endpoint(at=tmp_path / "http.sock", tls=False, introduced=None)
        asking = threading.Thread(
            target=lambda: said.append(websocket.hold(endpoint, "shop.test", WANTED)), daemon=True
        )
        asking.start()
        served, _ = listener.accept()
        with served:
            served.recv(4096)
            served.sendall(answer)
            asking.join(30)

            assert not asking.is_alive(), "it waits for the end of a connection that stays open"

    assert said[0] is not None
    assert said[0].startswith("the upgrade was answered with 401, expected 101: ")
    assert "no one" in said[0]
