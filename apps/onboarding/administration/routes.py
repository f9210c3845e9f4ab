"""The routes of administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from onboarding.document import SIGNED, asks
from onboarding.door import Answered, answered
from onboarding.server import on_step
from starlette.concurrency import run_in_threadpool

from . import calling_off, document, history, told, wish
from .answers import Desk
from .outcome import Refused
from .sender import Sender

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from fastapi import FastAPI
    from onboarding.door import Door
    from psycopg_pool import ConnectionPool

MIGRATE = "/api/admin/onboarding/migrate-version"


def add(app: FastAPI, door: Door, pool: ConnectionPool) -> AbstractAsyncContextManager[None]:
    """Give an app these routes; return what sends events while it serves."""
    asked = Administration(door, pool, Desk(pool))
    signed = APIRouter(dependencies=SIGNED)
    signed.post(MIGRATE, responses=document.MIGRATE_ANSWERS, openapi_extra=asks(document.ASKED))(
        asked.migrate
    )
    signed.get(
        MIGRATE,
        responses=document.VERSIONS_ANSWERS,
        openapi_extra={"parameters": [document.STEP]},
    )(asked.versions)
    signed.delete(
        MIGRATE,
        responses=document.CALLED_OFF_ANSWERS,
        openapi_extra={"parameters": [document.STEP]},
    )(asked.call_off)
    app.include_router(signed)
    return Sender.read().running()


@dataclass(frozen=True, slots=True)
class Administration:
    """What administrators ask."""

    door: Door
    pool: ConnectionPool
    desk: Desk

    async def migrate(self, request: Request) -> JSONResponse:
        """Take steps to new versions."""
        caller = self.door.admin(request)
        try:
            wishes, batch = wish.read(await request.body())
        except wish.Unfit as unfit:
            raise Answered(400, unfit.body) from None
        if caller.smoke and not all(each.dry_run for each in wishes):
            raise Answered(403, {"error": "Forbidden"})
        correlation = request.state.correlation
        status, body = await run_in_threadpool(
            lambda: self.desk.answer(wishes, correlation, caller.user, batch=batch)
        )
        return JSONResponse(body, status)

    async def versions(self, request: Request) -> JSONResponse:
        """Tell the versions of a step."""
        self.door.admin(request)
        step = _step(request)
        known = await on_step(self.pool, step, lambda connection: history.of(connection, step))
        return answered(request, 200, known)

    async def call_off(self, request: Request) -> JSONResponse:
        """Take a migration back that was begun chunk by chunk, and has not switched users over."""
        if self.door.admin(request).smoke:
            raise Answered(403, {"error": "Forbidden"})
        step, correlation = _step(request), request.state.correlation
        try:
            removed = await on_step(
                self.pool,
                step,
                lambda connection: calling_off.call_off(connection, step, correlation),
                error="No migration under way",
            )
        except Refused as error:
            body = {"error": "Validation failed", "errors": error.errors}
            raise Answered(400, body) from None
        told.log("Migration called off", **removed, correlationId=str(correlation))
        return answered(request, 200, {"success": True, "result": removed})


def _step(request: Request) -> str:
    step = request.query_params.get("stepId")
    if not step:
        raise Answered(400, {"error": "stepId parameter required"})
    return step
