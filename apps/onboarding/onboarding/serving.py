"""Serve on the unix sockets of the release until SIGTERM; requests under way are answered first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import make_asgi_app
from psycopg_pool import ConnectionPool

from .server import make
from .settings import Settings

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from .server import More

POOL_SECONDS = 10.0
DRAIN_SECONDS = 15


class Server(uvicorn.Server):
    """One of several in a process, which is told itself when to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, for the app's own group alone: uvicorn lets everybody in."""
        await super().startup(sockets)
        os.chmod(str(self.config.uds), 0o660)  # noqa: PTH101 - an object for a path would be waited for

    def end(self) -> None:
        """Answer what is under way, and end."""
        self.should_exit = True


async def serve(settings: Settings, *more: More) -> None:
    """Serve users and, on a socket of their own, the figures."""
    pool = ConnectionPool(
        settings.database, min_size=1, max_size=settings.sessions, timeout=POOL_SECONDS, open=False
    )
    app = make(settings, pool, *more)
    servers = [
        Server(
            uvicorn.Config(
                each,
                uds=str(settings.sockets / f"{name}.sock"),
                log_level="warning",
                lifespan="on" if name == "http" else "off",
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        for name, each in (("http", app), ("metrics", make_asgi_app()))
    ]
    loop = asyncio.get_running_loop()

    def end() -> None:
        for each in servers:
            each.end()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    await asyncio.gather(*(each.serve() for each in servers))


def main(*more: More) -> None:
    """Serve until SIGTERM."""
    asyncio.run(serve(Settings.read(), *more))
