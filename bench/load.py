"""Send writes at a set rate, never twice, and record each: what proves that nothing was lost.

    bench/load.py --address 10.0.0.10 --name shop.example.org --ca ca.pem --rate 50 --seconds 60 --records load.jsonl

Every request is a POST with a request id of its own over a kept-alive TLS connection. A request that
fails is not sent again: it is a failure. Requests leave on time whether or not earlier ones are
answered, and their time counts from when they were due, so a stall shows in full. Beside them, any
number of WebSockets are held open, and clients may be idle for seconds between two requests. SIGTERM ends it early; the summary is one JSON line on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import websockets
from websockets.asyncio.client import connect

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.load_connection import BrokenOff, Connection, Target
from bench.load_sparse import Sparse

OK = range(200, 300)
CLOSING_SECONDS = 5


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
    closes: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    held: int = 0

    async def run(self) -> dict[str, Any]:
        """Send until time, count or ``stop`` ends it; return the summary."""
        begun = time.time()
        workers = [asyncio.create_task(self._worker()) for _ in range(self.connections)]
        holders = [asyncio.create_task(self._hold(number)) for number in range(self.websockets)]
        sparse = self._sparse()
        idlers = asyncio.create_task(sparse.run())
        await self._schedule(begun)
        for _ in workers:
            self.due.put_nowait(None)
        await asyncio.gather(*workers)
        seconds = time.time() - begun
        self.stop.set()
        await idlers
        await asyncio.wait(holders, timeout=CLOSING_SECONDS) if holders else None
        for holder in holders:
            holder.cancel()
        return {**self._summary(seconds), "sparse": sparse.summary()}

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
        number = 0
        while not self.stop.is_set() and (self.count is None or number < self.count):
            due = begun + (number / self.rate if self.rate else self.seconds)
            if due >= begun + self.seconds:
                due, number = begun + self.seconds, -1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), max(0.0, due - time.time()))
            if number < 0 or self.stop.is_set():
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
                    entry["status"], _ = await connection.post(self.path, headers, body)
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

    async def _hold(self, number: int) -> None:
        """Keep one WebSocket open; open it again when the server ends it, as a browser would."""
        await asyncio.sleep(number / 50)
        while not self.stop.is_set():
            entry: dict[str, Any] = {"websocket": number, "start": time.time()}
            try:
                await self._one_websocket(entry)
            except (OSError, TimeoutError, websockets.exceptions.WebSocketException) as error:
                entry["error"] = f"{type(error).__name__}: {error}"
                self.closes["not opened"] += 1
            entry["end"] = time.time()
            self.records.write(json.dumps(entry) + "\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), 0.2 + secrets.randbelow(800) / 1000)

    async def _one_websocket(self, entry: dict[str, Any]) -> None:
        target = self.target
        socket = await connect(
            f"wss://{target.host}{self.websocket_path}",
            ssl=target.context,
            host=target.address,
            port=target.port,
            server_hostname=target.name,
            proxy=None,
            open_timeout=self.timeout,
            ping_interval=None,
            compression=None,
        )
        self.opened += 1
        ended = asyncio.create_task(socket.wait_closed())
        stopped = asyncio.create_task(self.stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            self.held += 1
            await socket.close()
            return
        received = socket.protocol.close_rcvd
        entry["close"] = received.code if received else None
        self.closes[str(received.code) if received else "no close frame"] += 1

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
            "websockets": {
                "opened": self.opened,
                "held_to_the_end": self.held,
                "ended_by_server": dict(self.closes),
            },
        }


async def sign_in(target: Target, path: str, body: str, field_name: str) -> str:
    """Sign in once, before the load, and return the token of the answer."""
    connection = Connection(target=target)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    status, content = await connection.post(path, headers, body.encode())
    if status not in OK:
        sys.exit(f"signing in at {path} was answered with {status}")
    return str(json.loads(content)[field_name])


def arguments() -> argparse.ArgumentParser:
    """Return the command line; what it sends unless told is what the demo's app takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True, help="where to connect to")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--name", required=True, help="the public name")
    parser.add_argument("--ca", help="the authority to trust, PEM; the machine's own if none")
    parser.add_argument(
        "--rate", type=float, default=50.0, help="requests a second; 0 for WebSockets alone"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, help="stop after so many requests")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one answer")
    parser.add_argument("--records", type=Path, required=True, help="a JSON line a request")
    parser.add_argument("--path", default="/api/auth/logout")
    parser.add_argument("--body", default="{}", help="{id} is replaced by the request id")
    parser.add_argument("--sign-in", default="/api/auth/login", help="empty for none")
    parser.add_argument(
        "--sign-in-body", default='{"provider": "google", "login_hint": "load@load.test"}'
    )
    parser.add_argument("--token-field", default="token")
    parser.add_argument("--token-file", type=Path, help="a token instead of signing in")
    parser.add_argument("--websockets", type=int, default=0)
    parser.add_argument("--websocket-path", default="/ws")
    parser.add_argument("--sparse", type=int, default=0, help="clients that are idle in between")
    parser.add_argument(
        "--idle", type=float, nargs=2, default=(1.0, 14.0), metavar="SECONDS", help="least and most"
    )
    return parser


async def main() -> int:
    """Run the load that was asked for and print its summary; 1 when a request failed."""
    asked = arguments().parse_args()
    context = ssl.create_default_context(cafile=asked.ca)
    target = Target(address=asked.address, port=asked.port, name=asked.name, context=context)
    headers = {"Content-Type": "application/json", "User-Agent": "load"}
    token = asked.token_file.read_text().strip() if asked.token_file else None
    if token is None and asked.sign_in:
        token = await sign_in(target, asked.sign_in, asked.sign_in_body, asked.token_field)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    asked.records.parent.mkdir(parents=True, exist_ok=True)
    with asked.records.open("w", encoding="utf-8") as records:
        load = Load(
            target=target,
            path=asked.path,
            body=asked.body,
            headers=headers,
            rate=asked.rate,
            seconds=asked.seconds,
            count=asked.count,
            connections=asked.connections,
            timeout=asked.timeout,
            websockets=asked.websockets,
            websocket_path=asked.websocket_path,
            sparse=asked.sparse,
            idle=(asked.idle[0], asked.idle[1]),
            records=records,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, load.stop.set)
        summary = await load.run()
    print(json.dumps(summary), flush=True)
    return 1 if summary["failed"] or summary["sparse"]["failed"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
