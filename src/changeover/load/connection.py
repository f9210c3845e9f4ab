"""One kept-alive HTTP/1.1 connection over TLS that sends each request once at most."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


# What an app may say of the version that answered, as `8.0.0-1a2b3c4d`.
RELEASE_HEADER = "x-release"


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


@dataclass(slots=True, kw_only=True)
class Connection:
    """One kept-alive HTTP/1.1 connection, opened when it is needed."""

    target: Target
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the next request goes out on a connection that is open already."""
        return self.reader is not None and not self.reader.at_eof()

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send one POST and return its answer; the request is on the wire once at most.

        Raises:
            BrokenOff, OSError: There was no whole answer.
        """
        reader, writer = await self._open()
        head = {"Host": self.target.host, "Content-Length": str(len(body)), **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        try:
            writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            await writer.drain()
            status, answered = await self._head(reader)
            content = await self._body(reader, answered)
        except BaseException:
            self.close()
            raise
        if answered.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, answered, content)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # A connection that the server has visibly ended is not used: nothing was sent on it.
        if self.reader is not None and self.reader.at_eof():
            self.close()
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(
                self.target.address,
                self.target.port,
                ssl=self.target.context,
                server_hostname=self.target.name,
            )
        return self.reader, self.writer

    async def _head(self, reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise BrokenOff("the connection ended before the answer") from error
        first, *lines = head.split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        try:
            if headers.get("transfer-encoding", "").lower() == "chunked":
                return await self._chunks(reader)
            return await reader.readexactly(int(headers.get("content-length", "0")))
        except asyncio.IncompleteReadError as error:
            raise BrokenOff("the connection ended within the answer") from error

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            content += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return content

    def close(self) -> None:
        """End the connection at once."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None
