"""Send writes at a set rate, never twice, and record each of them."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, Any

from changeover.load.connection import BrokenOff, Connection, Target
from changeover.load.sockets import Sockets
from changeover.load.sparse import Sparse

OK = range(200, 300)
# How soon a client that is told to stop does.
LOOK_SECONDS = 0.2


@dataclass(slots=True, kw_only=True)
class Load:
    """One run: what is sent, and what came of it.

    Args:
        rate: Requests a second.
        seconds: How long at most.
        count: How many requests at most; without end when ``None``.
        connections: How many requests may be under way.
        websockets: How many WebSockets are held open.
        sparse: How many clients are idle between their requests, for ``idle`` seconds.
        records: Where each request is recorded, one JSON object a line.
    """

    target: Target
    path: str
    body: str
    headers: dict[str, str]
    rate: float
    seconds: float
    count: int | None
    connections: int
    timeout: float
    websockets: int
    websocket_path: str
    sparse: int
    idle: tuple[float, float]
    records: IO[str]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    due: asyncio.Queue[tuple[int, float] | None] = field(default_factory=asyncio.Queue)
    milliseconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    async def run(self) -> dict[str, Any]:
        """Send until time, count or ``stop`` ends it; return the summary."""
        begun = time.time()
        workers = [asyncio.create_task(self._worker()) for _ in range(self.connections)]
        sockets, sparse = self._sockets(), self._sparse()
        holders = asyncio.create_task(sockets.run())
        idlers = asyncio.create_task(sparse.run())
        await self._schedule(begun)
        for _ in workers:
            self.due.put_nowait(None)
        await asyncio.gather(*workers)
        seconds = time.time() - begun
        self.stop.set()
        await idlers
        await holders
        summary = self._summary(seconds)
        return {**summary, "websockets": sockets.summary(), "sparse": sparse.summary()}

    def _sockets(self) -> Sockets:
        return Sockets(
            target=self.target,
            path=self.websocket_path,
            number=self.websockets,
            timeout=self.timeout,
            records=self.records,
            stop=self.stop,
        )

    def _sparse(self) -> Sparse:
        return Sparse(
            target=self.target,
            path=self.path,
            body=self.body,
            headers=self.headers,
            run_id=self.run_id,
            timeout=self.timeout,
            connections=self.sparse,
            least=self.idle[0],
            most=self.idle[1],
            records=self.records,
            stop=self.stop,
        )

    async def _schedule(self, begun: float) -> None:
        number, end = 0, begun + self.seconds
        while not self.stop.is_set() and (self.count is None or number < self.count):
            due = min(end, begun + number / self.rate) if self.rate else end
            while (left := due - time.time()) > 0 and not self.stop.is_set():  # noqa: ASYNC110 - a sleep costs a fifth of a wait with a deadline
                await asyncio.sleep(min(left, LOOK_SECONDS))
            if due == end or self.stop.is_set():
                return
            self.due.put_nowait((number, due))
            number += 1

    async def _worker(self) -> None:
        connection = Connection(target=self.target)
        while (job := await self.due.get()) is not None:
            number, due = job
            identity = f"{self.run_id}-{number:07d}"
            entry: dict[str, Any] = {"id": identity, "due": due, "start": time.time()}
            headers = {**self.headers, "X-Request-Id": identity}
            body = self.body.replace("{id}", identity).encode()
            try:
                async with asyncio.timeout(self.timeout):
                    answer = await connection.post(self.path, headers, body)
                    entry |= {"status": answer.status, "release": answer.release}
            except TimeoutError:
                entry["error"] = f"no answer within {self.timeout:g} s"
            except (BrokenOff, OSError, ValueError) as error:
                entry["error"] = f"{type(error).__name__}: {error}"
            entry["end"] = time.time()
            self._record(entry)
        connection.close()

    def _record(self, entry: dict[str, Any]) -> None:
        self.records.write(json.dumps(entry) + "\n")
        self.outcomes[str(entry.get("status") or entry["error"])] += 1
        if entry.get("status") in OK:
            self.milliseconds.append((entry["end"] - entry["due"]) * 1000)

    def _summary(self, seconds: float) -> dict[str, Any]:
        times = sorted(self.milliseconds)
        sent = sum(self.outcomes.values())
        acknowledged = len(times)

        def share(part: float) -> float | None:
            return (
                round(times[min(acknowledged - 1, int(acknowledged * part))], 1) if times else None
            )

        return {
            "type": "load",
            "sent": sent,
            "acknowledged": acknowledged,
            "failed": sent - acknowledged,
            "outcomes": dict(self.outcomes),
            "seconds": round(seconds, 2),
            "rate": round(sent / seconds, 1) if seconds else 0.0,
            "p50_ms": share(0.5),
            "p99_ms": share(0.99),
            "max_ms": round(times[-1], 1) if times else None,
        }
