"""Receive the events of the outbox as analytics would: each once, however often it is sent.

A companion of the lab. ``POST /events`` takes a batch and ``GET /events`` tells what came, in its order,
and how much of it came again; both need the token. It keeps them until it ends.
"""

from __future__ import annotations

import hmac
import json
import os
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST_BYTES = 10_000_000
READ_SECONDS = 10


class Received:
    """What came."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._events: dict[str, Any] = {}
        self._again = 0

    def take(self, events: list[dict[str, Any]]) -> None:
        """Keep events that are new."""
        with self._turn:
            for event in events:
                self._again += event["id"] in self._events
                self._events.setdefault(event["id"], event)

    def tell(self) -> dict[str, Any]:
        """Return what came, and how many came more than once."""
        with self._turn:
            return {"events": list(self._events.values()), "again": self._again}


class Handler(BaseHTTPRequestHandler):
    """Answers who has the token."""

    timeout = READ_SECONDS
    protocol_version = "HTTP/1.1"
    received: Received
    token: str

    def do_GET(self) -> None:
        """Tell what came."""
        if self._let_in():
            self._answer(HTTPStatus.OK, self.received.tell())

    def do_POST(self) -> None:
        """Take a batch, or none of it."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "Too large"})
            return
        body = self.rfile.read(int(length))
        if not self._let_in():
            return
        events = _events(body)
        if events is None:
            self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": "Not a batch of events"})
            return
        self.received.take(events)
        self._answer(HTTPStatus.OK, {"taken": len(events)})

    def _let_in(self) -> bool:
        known = f"Bearer {self.token}".encode()
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), known):
            self._answer(HTTPStatus.UNAUTHORIZED, {"error": "Unauthorized"})
            return False
        if self.path != "/events":
            self._answer(HTTPStatus.NOT_FOUND, {"error": "Not found"})
            return False
        return True

    def _answer(self, status: HTTPStatus, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _events(body: bytes) -> list[dict[str, Any]] | None:
    """Return the events of a batch; ``None`` where it is none."""
    try:
        events = json.loads(body)["events"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(events, list):
        return None
    whole = all(isinstance(each, dict) and isinstance(each.get("id"), str) for each in events)
    return events if whole else None


def main() -> None:
    """Serve until the process ends."""
    Handler.received, Handler.token = Received(), os.environ["ANALYTICS_TOKEN"]
    address = (os.environ["LISTEN_ADDRESS"], int(os.environ["PORT"]))
    ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
