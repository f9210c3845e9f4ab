"""A client of this host's Nginx: TLS under the public name, over a unix socket or a local port.

It trusts whatever certificate is served: who holds the name is asked from outside.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_BODY = 4 << 20
CHUNK = 1 << 16
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One listener.

    Args:
        at: A unix socket's path, or address and port.
        tls: Whether it speaks TLS.
        introduced: The address that a PROXY header gives for the client; ``None`` for no header.
    """

    at: Path | tuple[str, int]
    tls: bool
    introduced: str | None

    @property
    def direct(self) -> bool:
        """Tell whether this is an app's own socket, with no proxy in front."""
        return isinstance(self.at, Path) and self.introduced is None

    def connect(self, host: str, seconds: float) -> socket.socket:
        """Open a connection under a public name.

        Raises:
            OSError: Nobody answers, or not in time, or not with TLS.
        """
        if isinstance(self.at, Path):
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            opened.settimeout(seconds)
        else:
            opened = socket.create_connection(self.at, seconds)
        try:
            if isinstance(self.at, Path):
                opened.connect(str(self.at))
            if self.introduced:
                port = PORTS["https" if self.tls else "http"]
                line = f"PROXY TCP4 {self.introduced} 127.0.0.1 40000 {port}\r\n"
                opened.sendall(line.encode("ascii"))
            return _trusting().wrap_socket(opened, server_hostname=host) if self.tls else opened
        except BaseException:
            opened.close()
            raise


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end and unpacked."""

    status: int
    headers: list[tuple[str, str]]
    body: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return it as it travels to the controller."""
        return {
            "status": self.status,
            "headers": self.headers,
            "body": self.body,
            "seconds": round(self.seconds, 4),
        }


class _Connection(http.client.HTTPConnection):
    def __init__(self, opened: socket.socket, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self.sock = opened


def ask(
    endpoint: Endpoint,
    host: str,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    seconds: float,
) -> Answer:
    """Send one request over a connection of its own and read its answer to the end.

    Raises:
        OSError: There is no complete answer in time, or it is too large.
    """
    began = time.monotonic()
    with endpoint.connect(host, seconds) as opened:
        connection = _Connection(opened, seconds)
        try:
            connection.request(method, target, body=body, headers=dict(headers))
            response = connection.getresponse()
            content = _read(response, opened, began + seconds)
        except http.client.HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
    if response.getheader("Content-Encoding", "").lower() == "gzip":
        content = _unpacked(content)
    charset = response.headers.get_content_charset("utf-8")
    return Answer(
        response.status,
        response.getheaders(),
        _text(content, charset),
        time.monotonic() - began,
    )


def _read(response: http.client.HTTPResponse, opened: socket.socket, deadline: float) -> bytes:
    content = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        opened.settimeout(left)
        chunk = response.read1(CHUNK)
        if not chunk:
            return content
        content += chunk
        _bounded(content)


def _bounded(content: bytes) -> None:
    if len(content) > LONGEST_BODY:
        raise ConnectionError(f"the body is larger than {LONGEST_BODY} bytes")


def _unpacked(content: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    try:
        plain = unpacking.decompress(content, LONGEST_BODY + 1)
    except zlib.error as error:
        raise ConnectionError(f"the body cannot be unpacked: {error}") from error
    _bounded(plain)
    return plain


def _text(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def local(address: str) -> tuple[str, int]:
    """Return where a listener of Nginx is reached on this host itself.

    Raises:
        ActionError: ``bad-listener``; the text is no port.
    """
    name, _, port = address.rpartition(":")
    if not port.isdigit():
        raise ActionError("bad-listener", f"{address!r} is no port that can be asked")
    every = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104 - read, not bound
    return every.get(name, name.strip("[]")), int(port)
