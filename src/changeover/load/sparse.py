"""Requests seconds apart on kept-alive connections: the ones that a reload in between can cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from dataclasses import dataclass, field
from typing import IO, Any

from changeover.load.connection import BrokenOff, Connection, Target

OK = range(200, 300)


@dataclass(slots=True, kw_only=True)
class Sparse:
    """Clients that each send a request, are idle for a while, and send the next one.

    A request is lost when it went out on a connection that was idle, and no whole answer came. A
    connection that the server had visibly ended before is opened anew, and costs nothing.

    Args:
        connections: How many clients.
        least: Seconds of idleness, at least.
        most: Seconds of idleness, at most; shorter than the server keeps an idle connection.
    """

    target: Target
    path: str
    body: str
    headers: dict[str, str]
    run_id: str
    timeout: float
    connections: int
    least: float
    most: float
    records: IO[str]
    stop: asyncio.Event
    sent: int = 0
    acknowledged: int = 0
    reused: int = 0
    lost: list[dict[str, Any]] = field(default_factory=list)

    async def run(self) -> None:
        """Send until ``stop`` is set."""
        await asyncio.gather(*(self._client(number) for number in range(self.connections)))

    async def _client(self, number: int) -> None:
        connection = Connection(target=self.target)
        # A part of the first idleness, so that the clients are spread from the start.
        await self._idle(0.0, self.least)
        answered, turn = time.time(), 0
        while not self.stop.is_set():
            idle = time.time() - answered if connection.is_open else None
            await self._send(connection, f"{self.run_id}-s{number:03d}-{turn:05d}", idle)
            answered, turn = time.time(), turn + 1
            await self._idle(self.least, self.most)
        connection.close()

    async def _idle(self, least: float, most: float) -> None:
        seconds = random.uniform(least, most)  # noqa: S311 - spreads load, guards nothing
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    async def _send(self, connection: Connection, identity: str, idle: float | None) -> None:
        entry: dict[str, Any] = {"id": identity, "idle": idle and round(idle, 3)}
        entry["start"] = entry["due"] = time.time()
        headers = {**self.headers, "X-Request-Id": identity}
        try:
            async with asyncio.timeout(self.timeout):
                body = self.body.replace("{id}", identity).encode()
                answer = await connection.post(self.path, headers, body)
                entry |= {"status": answer.status, "release": answer.release}
        except TimeoutError:
            entry["error"] = f"no answer within {self.timeout:g} s"
        except (BrokenOff, OSError, ValueError) as error:
            entry["error"] = f"{type(error).__name__}: {error}"
        entry["end"] = time.time()
        self.records.write(json.dumps(entry) + "\n")
        self.sent += 1
        self.acknowledged += entry.get("status") in OK
        self.reused += idle is not None
        if idle is not None and "error" in entry:
            lost = {name: entry[name] for name in ("id", "idle", "error")}
            self.lost.append({**lost, "at": round(entry["start"], 3)})

    def summary(self) -> dict[str, Any]:
        """Return the counts, and every lost request with its seconds of idleness."""
        return {
            "connections": self.connections,
            "sent": self.sent,
            "failed": self.sent - self.acknowledged,
            "on_an_idle_connection": self.reused,
            "lost": self.lost,
        }
