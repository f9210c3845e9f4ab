"""The routes of 1.0.0, for those who have not moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import legacy.server
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from tenancy import counted
from tenancy.callers import Caller
from tenancy.envelope import Refused, failure, of_error

from .document import both

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from tenancy.server import Service
    from voxflow.database import Database

    from .notice import Notice

DEPRECATED = frozenset(
    (method, path)
    for path in (legacy.server.AGENTS, legacy.server.CAMPAIGNS)
    for method in ("GET", "POST")
)
COUNT = """
    INSERT INTO deprecated_usage (day, route, user_id, requests, last_used)
    VALUES ((now() AT TIME ZONE 'UTC')::date, %s, %s, 1, now())
    ON CONFLICT (day, route, user_id) DO UPDATE
    SET requests = deprecated_usage.requests + 1, last_used = excluded.last_used"""


@dataclass(frozen=True, slots=True)
class Former:
    """Sends legacy accounts to the routes of 1.0.0, and everybody else on.

    Args:
        service: What the app runs on.
        notice: What answers say of these routes.
        onward: Where everybody else goes.
    """

    service: Service
    notice: Notice
    onward: FastAPI
    former: ASGIApp = field(init=False)

    def __post_init__(self) -> None:
        """Make the app of 1.0.0 on the same database."""
        made = legacy.server.routes(self.service.settings, self.service.database, makers=True)
        object.__setattr__(self, "former", made)
        self.onward.openapi_schema = both(self.onward.openapi(), made.openapi(), sorted(DEPRECATED))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked_by = scope.get("state", {}).get("caller")
        route = (scope.get("method", ""), scope.get("path", ""))
        if route not in DEPRECATED or not isinstance(asked_by, Caller) or not asked_by.legacy:
            await self.onward(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.notice.headers())
            await send(message)

        try:
            if not self._checks(asked_by):
                await run_in_threadpool(count, self.service.database, " ".join(route), asked_by.id)
        except Exception as error:  # noqa: BLE001 - what is not counted must not be answered
            refused: Refused = of_error(error)
            await failure(scope["state"]["request_id"], refused)(scope, receive, tell)
            return
        await self.former(scope, receive, tell)

    def _checks(self, asked_by: Caller) -> bool:
        """Tell whether smoke checks ask: they prove what clients may use, and are none that does."""
        smoke = self.service.settings.smoke
        return smoke is not None and smoke.email.lower() == asked_by.email.lower()


def count(database: Database, route: str, user: str) -> None:
    """Count one use of a deprecated route."""
    with database.for_everybody() as connection:
        connection.execute(COUNT, [route, user])
    counted.DEPRECATED.labels(route).inc()
