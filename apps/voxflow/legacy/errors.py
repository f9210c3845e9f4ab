"""Failures as legacy clients know them: a text and the status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from fastapi import FastAPI, Request


class Refusal(BaseModel):
    """A request that failed."""

    error: str
    status: int


def answer(status: int, error: str) -> JSONResponse:
    """Return a failure."""
    return JSONResponse({"error": error, "status": status}, status)


def tell(app: FastAPI) -> None:
    """Have every failure of an app told so."""

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        told = answer(error.status_code, str(error.detail))
        told.headers.update(error.headers or {})
        return told

    @app.exception_handler(RequestValidationError)
    def unfit(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return answer(400, f"{where}: {first['msg']}" if where else first["msg"])

    @app.exception_handler(psycopg.Error)
    def failed(_: Request, __: psycopg.Error) -> JSONResponse:
        # What a database says may hold rows of users.
        return answer(500, "Something went wrong")
