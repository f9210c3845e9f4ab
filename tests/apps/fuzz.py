"""Schemathesis against an app that runs: what its own document allows, and what it forbids, is asked of it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXAMPLES = 25
SEED = 20261123
# What an answer is held to: no failure of ours, and nothing that the document does not say.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)


@contextlib.contextmanager
def on_a_port(path: Path) -> Iterator[int]:
    """Give a port of loopback that reaches a unix socket."""

    class Carry(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as inner:
                inner.connect(str(path))
                back = threading.Thread(target=carry, args=(inner, self.request))
                back.start()
                carry(self.request, inner)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Carry) as server:
        serves = threading.Thread(target=server.serve_forever)
        serves.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serves.join()


def carry(source: socket.socket, target: socket.socket) -> None:
    """Pass on what one side says until it has said all."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def fuzz(path: Path, *words: str, bearer: str = "", checks: Sequence[str] = CHECKS) -> str:
    """Return what Schemathesis found, which is nothing where all is well.

    Args:
        path: Where the app listens.
        words: More for its command line.
        bearer: The token that requests are sent with.
        checks: What answers are held to.
    """
    with on_a_port(path) as port:
        said = ["--header", f"Authorization: Bearer {bearer}"] if bearer else []
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("run", f"http://127.0.0.1:{port}/openapi.json"),
                *("--checks", ",".join(checks), "--max-examples", str(EXAMPLES)),
                *("--seed", str(SEED), "--phases", "examples,coverage,fuzzing"),
                *("--warnings", "off", "--suppress-health-check", "all", *said, *words),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 else done.stdout + done.stderr
