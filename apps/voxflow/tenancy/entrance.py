"""What every request passes first: a request id, who asks, and how often they may."""

from __future__ import annotations

import ipaddress
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders

from . import counted
from .envelope import Refused, failure, of_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .callers import Caller, Callers
    from .limits import Allowance, Limits

LIMITED = "/api/"
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True, slots=True)
class Entrance:
    """Lets requests in to an app.

    Args:
        inner: The app.
        callers: Who asks.
        limits: How often they may.
        colour: The build that answers.
    """

    inner: ASGIApp
    callers: Callers
    limits: Limits
    colour: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one in."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        allowance = None
        refused = None
        if scope["path"].startswith(LIMITED):
            try:
                found, allowance = await run_in_threadpool(self._known, headers)
                state["caller"] = found
            except Exception as error:  # noqa: BLE001 - nothing behind this answers in the envelope
                refused = of_error(error)
        told = {"X-Request-Id": request_id} | (allowance.headers() if allowance else {})
        if self.colour:
            told["X-Release"] = self.colour

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        if allowance is not None and allowance.exceeded:
            counted.RATE_LIMITED.labels(allowance.tier).inc()
            refused = Refused(
                429,
                "RATE_LIMIT_EXCEEDED",
                "Too many requests",
                f"{allowance.limit} requests in a window; ask again in {allowance.wait} s",
            )
        inner = failure(request_id, refused) if refused is not None else self.inner
        await inner(scope, receive, tell)

    def _known(self, headers: Headers) -> tuple[Caller | Refused, Allowance | None]:
        try:
            found = self.callers.of(headers.get("authorization"))
        except Refused as refused:
            # A token that is not good counts on the address, or guessing would be free.
            return refused, self.limits.take(f"address:{_address(headers)}", None)
        if found.legacy:
            # Nobody counted them before there were tenants.
            return found, None
        return found, self.limits.take(f"account:{found.id}", found.tier)


def _request_id(given: str | None) -> str:
    known = given if given and REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return known if known.startswith("req_") else f"req_{known}"


def _address(headers: Headers) -> str:
    """Return the client's address; only the proxy on this host reaches the socket, so it is believed."""
    try:
        return str(ipaddress.ip_address(headers.get("x-real-ip", "").strip()))
    except ValueError:
        return "unknown"
