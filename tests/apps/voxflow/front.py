"""What stands before VoxFlow: a port of this machine that leads to its socket."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60


@contextlib.contextmanager
def front(socket: Path) -> Iterator[int]:
    """Give a port on loopback that leads to a unix socket."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, outside = await asyncio.open_unix_connection(str(socket))
        await asyncio.gather(_carry(reader, outside), _carry(inside, writer))

    async def opened() -> tuple[asyncio.Server, int]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        return server, int(server.sockets[0].getsockname()[1])

    server, port = asyncio.run_coroutine_threadsafe(opened(), loop).result(SECONDS)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
