"""Send the events of the outbox: at least once, and those of one step in their order.

Every process of the release has one. An event leaves the outbox in the transaction that has it locked,
once the receiver has answered: where a process ends in between, it is sent again, with the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from . import outbox, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POST_SECONDS = 5.0
POOL_SECONDS = 10.0
LOOK_SECONDS = 1.0
MEASURE_SECONDS = 10.0
# With those of requests under way less than the release's drain.
STOP_SECONDS = 2.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, FACTOR = 1.0, 60.0, 2.0
TAKEN = range(200, 300)
# What says of these events, and not of the receiver, that it cannot be.
UNFIT = (400, 413, 422)


class Unwell(Exception):
    """The receiver does not take anything for now."""


class Unfit(Exception):
    """The receiver does not take these events."""

    def __init__(self, step: str, status: int) -> None:
        super().__init__(f"status {status}")
        self.step = step


@dataclass(slots=True)
class Wait:
    """How long nothing is tried, after how many failures in a row."""

    failures: int = 0
    until: float = 0.0

    def longer(self) -> float:
        """Wait from now on, twice as long as the last time; return the seconds."""
        seconds: float = min(FIRST_WAIT_SECONDS * FACTOR**self.failures, LONGEST_WAIT_SECONDS)
        # The wait is at its longest long before the exponent is too much for a float.
        self.failures = min(self.failures + 1, 10)
        self.until = time.monotonic() + seconds
        return seconds


@dataclass(slots=True)
class Sender:
    """Sends events until it is told to end.

    Args:
        database: Its address.
        url: Who receives; empty where nobody does, and events wait.
        token: What the receiver knows us by; empty for none.
    """

    database: str
    url: str
    token: str
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _receiver: Wait = field(default_factory=Wait)
    _steps: dict[str, Wait] = field(default_factory=dict)
    _measured: float = 0.0

    @classmethod
    def read(cls) -> Sender:
        """Return the one that the environment asks for."""
        return cls(
            database=os.environ["DATABASE_URL"],
            url=os.environ.get("ANALYTICS_URL", ""),
            token=os.environ.get("ANALYTICS_TOKEN", ""),
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs; what is under way at its end has a moment to be done."""
        if not self.url:
            told.log_outbox("Events wait", reason="ANALYTICS_URL is not set")
        task = asyncio.create_task(self._run())
        task.add_done_callback(_ended)
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.wait([task], timeout=STOP_SECONDS)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        pool = AsyncConnectionPool(
            self.database,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=1,
            timeout=POOL_SECONDS,
            open=False,
        )
        async with pool, httpx.AsyncClient(headers=headers, trust_env=False) as client:
            while not self._stop.is_set():
                if not await self._turn(pool, client):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    async def _turn(self, pool: AsyncConnectionPool, client: httpx.AsyncClient) -> bool:
        """Send a batch where that is due; tell whether another one may be there at once."""
        try:
            async with pool.connection() as connection:
                await self._measure(connection)
                if not self.url or time.monotonic() < self._receiver.until:
                    return False
                sent = await self._send(connection, client)
        except Unwell as error:
            self._failed(self._receiver, str(error))
            return False
        except Unfit as error:
            self._failed(self._steps.setdefault(error.step, Wait()), str(error), step=error.step)
            return True
        except (PoolTimeout, psycopg.Error) as error:
            # What a database says may hold rows of users: its kind alone is told.
            self._failed(self._receiver, type(error).__name__)
            return False
        return sent

    async def _send(
        self, connection: psycopg.AsyncConnection[Any], client: httpx.AsyncClient
    ) -> bool:
        now = time.monotonic()
        held = [step for step, wait in self._steps.items() if now < wait.until]
        async with connection.transaction():
            batch = await outbox.take(connection, held)
            if batch is None:
                return False
            await self._post(client, batch)
            await outbox.remove(connection, batch)
        if self._receiver.failures:
            told.log_outbox("Events are taken again")
        self._receiver = Wait()
        self._steps.pop(batch.step, None)
        told.SENT.inc(len(batch.events))
        return True

    async def _post(self, client: httpx.AsyncClient, batch: outbox.Batch) -> None:
        try:
            # This deadline counts the whole answer; that of the client counts each piece.
            async with asyncio.timeout(POST_SECONDS):
                answer = await client.post(self.url, json={"events": batch.events}, timeout=None)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unwell(type(error).__name__) from None
        if answer.status_code in UNFIT:
            raise Unfit(batch.step, answer.status_code)
        if answer.status_code not in TAKEN:
            raise Unwell(f"status {answer.status_code}")

    async def _measure(self, connection: psycopg.AsyncConnection[Any]) -> None:
        if time.monotonic() < self._measured + MEASURE_SECONDS:
            return
        count, oldest = await outbox.waiting(connection)
        told.waits(count, oldest)
        self._measured = time.monotonic()

    def _failed(self, wait: Wait, reason: str, **about: str) -> None:
        told.UNSENT.labels("events" if about else "receiver").inc()
        first = not wait.failures
        seconds = wait.longer()
        if first:
            told.log_outbox("Events are not taken", **about, reason=reason, seconds=seconds)


def _ended(task: asyncio.Task[None]) -> None:
    """Tell of a slip of ours; events wait then until the process is begun anew."""
    if not task.cancelled() and (error := task.exception()) is not None:
        told.log_outbox("Sending ended", error=type(error).__name__)
