"""WebSockets that are held open, and how each of them ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import websockets
from websockets.asyncio.client import connect

from changeover.load.connection import RELEASE_HEADER, Target

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CLOSING_SECONDS = 5


@dataclass(slots=True, kw_only=True)
class Sockets:
    """WebSockets that are opened again when the server ends them, as a browser would.

    Args:
        number: How many are held open at once.
        timeout: Seconds that opening one may take.
        records: Where each is recorded when it ends, one JSON object a line.
        stop: Ends them all.
    """

    target: Target
    path: str
    number: int
    timeout: float
    records: IO[str]
    stop: asyncio.Event
    closes: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    held: int = 0

    async def run(self) -> None:
        """Hold them until ``stop`` is set, then close them."""
        holders = [asyncio.create_task(self._hold(number)) for number in range(self.number)]
        await self.stop.wait()
        await asyncio.wait(holders, timeout=CLOSING_SECONDS) if holders else None
        for holder in holders:
            holder.cancel()

    async def _hold(self, number: int) -> None:
        await asyncio.sleep(number / 50)
        while not self.stop.is_set():
            entry: dict[str, Any] = {"websocket": number, "start": time.time()}
            try:
                await self._one(entry)
            except (OSError, TimeoutError, websockets.exceptions.WebSocketException) as error:
                entry["error"] = f"{type(error).__name__}: {error}"
                self.closes["not opened"] += 1
            entry["end"] = time.time()
            self.records.write(json.dumps(entry) + "\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), 0.2 + secrets.randbelow(800) / 1000)

    async def _one(self, entry: dict[str, Any]) -> None:
        socket = await self._open()
        self.opened += 1
        entry["opened"] = time.time()
        entry["release"] = socket.response and socket.response.headers.get(RELEASE_HEADER)
        ended = asyncio.create_task(socket.wait_closed())
        stopped = asyncio.create_task(self.stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            self.held += 1
            entry["held"] = True
            await socket.close()
            return
        received = socket.protocol.close_rcvd
        entry["close"] = received.code if received else None
        self.closes[str(received.code) if received else "no close frame"] += 1

    async def _open(self) -> ClientConnection:
        target = self.target
        return await connect(
            f"wss://{target.host}{self.path}",
            ssl=target.context,
            host=target.address,
            port=target.port,
            server_hostname=target.name,
            proxy=None,
            open_timeout=self.timeout,
            ping_interval=None,
            compression=None,
        )

    def summary(self) -> dict[str, Any]:
        """Return how many were opened, were held to the end, and were ended by the server how."""
        return {
            "opened": self.opened,
            "held_to_the_end": self.held,
            "ended_by_server": dict(self.closes),
        }
