"""HTTP over a colour's own unix sockets: is it well, and does it do what the release says."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

POLL_SECONDS = 0.05
LONGEST_BODY = 1 << 20
OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        """Return the whole body as text: it is masked before it is cut."""
        return self.body.decode("utf-8", "replace")


def accepts(path: Path) -> bool:
    """Tell whether something listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def ask(
    path: Path,
    target: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    seconds: float = 5,
) -> Answer:
    """Send one request and read its answer.

    Raises:
        OSError: Nobody answers, or not in time.
    """
    from changeover.agent.colour.unix_connection import (  # noqa: PLC0415 - most requests ask nobody
        NotHttp,
        UnixConnection,
    )

    began = time.monotonic()
    connection = UnixConnection(path, seconds)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        content = response.read(LONGEST_BODY)
    except NotHttp as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    return Answer(response.status, content, time.monotonic() - began)


def well(path: Path, target: str, seconds: float = 5) -> str | None:
    """Ask a health path once; return ``None`` when it answers 200, otherwise what is wrong.

    What is wrong holds the app's whole answer, unmasked.
    """
    headers = {"X-Forwarded-Proto": "https", "Connection": "close"}
    try:
        answer = ask(path, target, headers=headers, seconds=seconds)
    except OSError as error:
        return f"{path.name}{target}: {error or type(error).__name__}"
    if answer.status == OK:
        return None
    return f"{path.name}{target}: {answer.status} {answer.text}".strip()
