"""What every request meets: a correlation id, and who may ask."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from . import tokens

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.middleware.base import RequestResponseEndpoint
    from starlette.responses import Response

Body = dict[str, Any]


class Answered(Exception):
    """A request is answered before its route is done."""

    def __init__(self, status: int, body: Body) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Lets requests in.

    Args:
        secret: What tokens are signed with.
        smoke: The token of smoke checks; empty where there are none.
        colour: The build that answers.
    """

    secret: str
    smoke: str
    colour: str

    def caller(self, request: Request) -> tokens.Caller:
        """Return who asks.

        Raises:
            Answered: 401.
        """
        try:
            return tokens.caller(request.headers.get("authorization"), self.secret, self.smoke)
        except tokens.Unauthorized:
            raise Answered(401, {"error": "Unauthorized"}) from None

    def admin(self, request: Request) -> tokens.Caller:
        """Return the administrator who asks, or the smoke check, which may only look.

        Raises:
            Answered: 401 or 403.
        """
        found = self.caller(request)
        if found.role != tokens.ADMIN and not found.smoke:
            raise Answered(403, {"error": "Forbidden"})
        return found

    async def mark(self, request: Request, proceed: RequestResponseEndpoint) -> Response:
        """Give a request its correlation id, and tell it with the answer."""
        request.state.correlation = uuid.uuid4()
        answer = await proceed(request)
        answer.headers["X-Correlation-Id"] = str(request.state.correlation)
        if self.colour:
            answer.headers["X-Release"] = self.colour
        return answer


def answered(request: Request, status: int, body: Body) -> JSONResponse:
    """Return an answer that carries the correlation id."""
    return JSONResponse({**body, "correlationId": str(request.state.correlation)}, status)


def watch(app: FastAPI, door: Door) -> None:
    """Have every answer of an app be one of ours, failures included."""
    app.middleware("http")(door.mark)

    @app.exception_handler(Answered)
    async def early(request: Request, error: Answered) -> JSONResponse:
        return answered(request, error.status, error.body)

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> JSONResponse:
        found = answered(request, error.status_code, {"error": str(error.detail)})
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(psycopg.Error)
    async def failed(request: Request, error: psycopg.Error) -> JSONResponse:
        # What a database says may hold rows of users: its kind alone is told.
        body = {"error": "Internal server error", "message": type(error).__name__}
        return answered(request, 500, body)
