"""A Python app of `apps/` as a process of its own, with the packages that its lock pins."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.agent.colour.unix_connection import UnixConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
UP_SECONDS = 60
ANSWER_SECONDS = 60


def packages(app: Path) -> Path:
    """Return the Python that has what an app's lock pins; it is made once for a lock."""
    lock = (app / "requirements.lock").read_bytes()
    place = ROOT / "build" / f"{app.name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    python = place / "bin" / "python"
    place.parent.mkdir(exist_ok=True)
    # Tests run beside each other: one of them makes it.
    with place.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if (place / "whole").exists():
            return python
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        words = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([python, *words, "-r", app / "requirements.lock"], check=True)
        (place / "whole").touch()
    return python


def signed(claims: Mapping[str, object], secret: str, algorithm: str = "HS256") -> str:
    """Return a JSON Web Token that says so."""
    head = {"alg": algorithm, "typ": "JWT"}
    text = b".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
    signature = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + (_encoded(signature) if algorithm != "none" else b"")).decode()


def _encoded(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Running:
    """A process that serves, and where it is asked."""

    process: int
    socket: Path
    log: Path


def ask(
    socket: Path,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    *,
    seconds: float = ANSWER_SECONDS,
) -> Answer:
    """Ask an app on its unix socket; a body that is not bytes is sent as JSON."""
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if sent is not None else {}
    connection = UnixConnection(socket, seconds)
    with contextlib.closing(connection):
        connection.request(method, path, sent, kind | dict(headers or {}))
        found = connection.getresponse()
        text = found.read()
    told = {name.lower(): value for name, value in found.headers.items()}
    return Answer(found.status, told, json.loads(text) if text else None)


@contextlib.contextmanager
def running(
    app: Path, module: str, sockets: Path, environment: Mapping[str, str]
) -> Iterator[Running]:
    """Run a module of an app, and end it by SIGTERM where it was not killed."""
    log = sockets / "log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [packages(app), "-m", module],
            cwd=app,
            env={"PATH": os.environ["PATH"], "SOCKET_DIRECTORY": str(sockets), **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, sockets / "http.sock", log)
            yield Running(process.pid, sockets / "http.sock", log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(UP_SECONDS)
    assert process.returncode in (0, -signal.SIGKILL), log.read_text()


def _wait(process: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    for _ in range(UP_SECONDS * 20):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), contextlib.closing(UnixConnection(path, 1)) as attempt:
            attempt.connect()
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
