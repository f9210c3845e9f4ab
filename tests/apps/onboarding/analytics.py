"""Receivers of events: the lab's own program, and one that answers as a test says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests
from tests.postgres.own_server import free_port

from .desk import APP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "a token of tests, of 32 letters.."
TRIES = 1200


@dataclass(frozen=True)
class Receiver:
    """The lab's receiver."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    def told(self) -> dict[str, Any]:
        """Return what came, and how much of it again."""
        answer = requests.get(self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        found: dict[str, Any] = answer.json()
        return found

    @contextlib.contextmanager
    def running(self) -> Iterator[Receiver]:
        """Run it until the block ends."""
        process = subprocess.Popen(
            [sys.executable, APP / "receiver/server.py"],
            env={
                "PATH": os.environ["PATH"],
                "LISTEN_ADDRESS": "127.0.0.1",
                "PORT": str(self.port),
                "ANALYTICS_TOKEN": TOKEN,
            },
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: self._serves(process))
            yield self
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(60)

    def _serves(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None
        with contextlib.suppress(OSError):
            self.told()
            return True
        return False


def receiver() -> Receiver:
    """Return one that does not run yet."""
    return Receiver(free_port())


@dataclass
class Scripted:
    """A receiver that answers each batch with the status that a test gives for it.

    Args:
        answer: Returns the status; it may keep the sender waiting.
        batches: What came, one after another.
    """

    answer: Callable[[list[dict[str, Any]]], int]
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @contextlib.contextmanager
    def running(self) -> Iterator[Scripted]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"]
                outer.batches.append(events)
                status = outer.answer(events)
                # The sender may be gone.
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.port = server.server_address[1]
            serves = threading.Thread(target=server.serve_forever)
            serves.start()
            try:
                yield self
            finally:
                server.shutdown()
                serves.join()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes to be."""
    for _ in range(TRIES):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(condition)
