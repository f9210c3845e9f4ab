"""One kept-alive HTTP/1.1 connection over TLS that sends each request once at most."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


# What an app may say of the version that answered, as `8.0.0-1a2b3c4d`.
RELEASE_HEADER = "x-release"
END_OF_HEAD = b"\r\n\r\n"


class BrokenOff(Exception):
    """The connection ended before the whole answer was there."""


@dataclass(slots=True, kw_only=True)
class Target:
    """Where the load goes: an address to connect to, and the name TLS and ``Host`` carry."""

    address: str
    port: int
    name: str
    context: ssl.SSLContext

    @property
    def host(self) -> str:
        """Return what stands in the ``Host`` header."""
        return self.name if self.port == 443 else f"{self.name}:{self.port}"  # noqa: PLR2004 - HTTPS


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer.

    Args:
        status: The HTTP status.
        headers: By their names in lower case.
        body: What came after them.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def release(self) -> str | None:
        """Return which release says that it answered, if one does."""
        return self.headers.get(RELEASE_HEADER)


class _Wire(asyncio.Protocol):
    """An open connection with one request on it at most: asyncio's streams cost twice the time."""

    def __init__(self) -> None:
        self.ended = False
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; return the answer to come."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self.ended:
            self._break_off()
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or self._answer.done():
            return
        try:
            answer = _whole(self._received)
        except ValueError as error:
            self._answer.set_exception(error)
            return
        if answer is not None:
            self._received = b""
            self._answer.set_result(answer)

    def eof_received(self) -> None:
        self._break_off()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._break_off()

    def _break_off(self) -> None:
        self.ended = True
        if self._answer is not None and not self._answer.done():
            where = "within" if END_OF_HEAD in self._received else "before"
            self._answer.set_exception(BrokenOff(f"the connection ended {where} the answer"))

    def close(self) -> None:
        """End it at once."""
        self.ended = True
        if self._transport is not None:
            self._transport.abort()


def _whole(received: bytes) -> Answer | None:
    """Return the answer that was received, or ``None`` while a part of it is missing.

    Raises:
        ValueError: It is no HTTP answer.
    """
    head, found, rest = received.partition(END_OF_HEAD)
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    length = int(headers.get("content-length", "0"))
    body = _chunks(rest) if chunked else rest if len(rest) >= length else None
    return None if body is None else Answer(int(first.split()[1]), headers, body)


def _chunks(rest: bytes) -> bytes | None:
    content = b""
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return None
        size = int(line.split(b";")[0], 16)
        if len(rest) < size + len(b"\r\n"):
            return None
        if not size:
            return content
        content, rest = content + rest[:size], rest[size + len(b"\r\n") :]


@dataclass(slots=True, kw_only=True)
class Connection:
    """One kept-alive HTTP/1.1 connection, opened when it is needed."""

    target: Target
    _wire: _Wire | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the next request goes out on a connection that is open already."""
        return self._wire is not None and not self._wire.ended

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send one POST and return its answer; the request is on the wire once at most.

        Raises:
            BrokenOff, OSError, ValueError: There was no whole answer.
        """
        wire = await self._open()
        head = {"Host": self.target.host, "Content-Length": str(len(body)), **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        try:
            answer = await wire.ask(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def _open(self) -> _Wire:
        # A connection that the server has visibly ended is not used: nothing was sent on it.
        if self._wire is not None and self._wire.ended:
            self.close()
        if self._wire is None:
            target = self.target
            _, self._wire = await asyncio.get_running_loop().create_connection(
                _Wire,
                target.address,
                target.port,
                ssl=target.context,
                server_hostname=target.name,
            )
        return self._wire

    def close(self) -> None:
        """End the connection at once."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None
