"""Answers as tenants know them: ``success`` with ``data``, or a failure with its code and request id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import psycopg
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from voxflow.moments import now

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

T = TypeVar("T")


class Done(BaseModel, Generic[T]):
    """A request that was answered."""

    success: Literal[True] = True
    data: T


class Cause(BaseModel):
    """What went wrong, for programs and for people."""

    code: str
    details: str


class Failed(BaseModel):
    """A request that was not."""

    success: Literal[False] = False
    message: str
    error: Cause
    request_id: str
    timestamp: str


class Refused(Exception):
    """A request cannot be answered.

    Args:
        status: Of HTTP.
        code: What programs tell it by.
        message: What people read.
        details: What more there is to say.
    """

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.details = details or message


CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route's document says of its failures; every route may be limited and fail."""
    return {status: {"model": Failed} for status in (*statuses, 429, 500, 503)}


def failure(request_id: str, refused: Refused) -> JSONResponse:
    """Return the answer to a request that cannot be answered."""
    body = {
        "success": False,
        "message": refused.message,
        "error": {"code": refused.code, "details": refused.details},
        "request_id": request_id,
        "timestamp": now(),
    }
    return JSONResponse(body, refused.status)


def of_error(error: Exception) -> Refused:
    """Return what is told of a failure that nobody foresaw; never what a database says of its rows."""
    if isinstance(error, PoolTimeout):
        return Refused(
            503, "UNAVAILABLE", "The service is busy", "no session of the database was free"
        )
    return Refused(500, "INTERNAL_ERROR", "Something went wrong", type(error).__name__)


def tell(app: FastAPI) -> None:
    """Have every failure of an app told so."""

    def answer(request: Request, refused: Refused) -> JSONResponse:
        return failure(request.state.request_id, refused)

    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    def elsewhere(request: Request, error: HTTPException) -> JSONResponse:
        code = CODES.get(error.status_code, "HTTP_ERROR")
        told = answer(request, Refused(error.status_code, code, str(error.detail)))
        told.headers.update(error.headers or {})
        return told

    @app.exception_handler(RequestValidationError)
    def unfit(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            f"{'.'.join(map(str, each['loc'][1:])) or each['loc'][0]}: {each['msg']}"
            for each in error.errors()
        ]
        return answer(
            request, Refused(400, "VALIDATION_ERROR", "Validation failed", "; ".join(found))
        )

    @app.exception_handler(psycopg.Error)
    def failed(request: Request, error: psycopg.Error) -> JSONResponse:
        return answer(request, of_error(error))
