"""What Prometheus is told of every version; a label never names an account, or a thing by its id."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from typing import Any

    from psycopg_pool import ConnectionPool
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
# What was answered before it came to a route: unknown paths, and requests that the entrance refuses.
UNROUTED = "unrouted"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("http_requests", "Requests that were answered", ["method", "route", "status"])
SECONDS = Histogram(
    "http_request_duration_seconds", "How long answers took", ["method", "route"], buckets=BUCKETS
)
SIGN_INS = Counter("voxflow_sign_ins", "Attempts to sign in", ["outcome"])
POOL_IN_USE = Gauge("voxflow_database_sessions_in_use", "Sessions of the pool that are lent")
POOL_LIMIT = Gauge("voxflow_database_sessions_limit", "Sessions that the pool may have")
POOL_WAITING = Gauge("voxflow_database_requests_waiting", "Who waits for a session of the pool")


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts and times what an app answers."""

    inner: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        # What ends without an answer is told as uvicorn answers it.
        status = "500"
        began = time.perf_counter()

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.inner(scope, receive, tell)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", UNROUTED)
            REQUESTS.labels(method, route, status).inc()
            SECONDS.labels(method, route).observe(time.perf_counter() - began)


def watch(pool: ConnectionPool[Any]) -> None:
    """Have the sessions of a pool told, as they are whenever somebody asks."""

    def figure(name: str) -> int:
        return pool.get_stats().get(name, 0)

    POOL_IN_USE.set_function(lambda: figure("pool_size") - figure("pool_available"))
    POOL_LIMIT.set_function(lambda: figure("pool_max"))
    POOL_WAITING.set_function(lambda: figure("requests_waiting"))


def signed_in(*, well: bool) -> None:
    """Count an attempt to sign in."""
    SIGN_INS.labels("success" if well else "failure").inc()
