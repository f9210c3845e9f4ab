"""The routes of users, and of who asks whether the app is well."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from . import document, progress
from .door import Answered, Body, Door, answered, watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from psycopg_pool import ConnectionPool

    from .settings import Settings

    # What gives an app routes may return what is to run beside them.
    Beside = contextlib.AbstractAsyncContextManager[None]
    More = Callable[[FastAPI, Door, ConnectionPool], Beside | None]

T = TypeVar("T")
STEPS = "/api/onboarding/steps"
LOOK_SECONDS = 2.0


def make(settings: Settings, pool: ConnectionPool, *more: More) -> FastAPI:
    """Return the app on a pool that is opened with it.

    Args:
        settings: What the environment says.
        pool: The database.
        more: What gives it routes beside those of users.
    """
    beside: list[Beside] = []

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        async with contextlib.AsyncExitStack() as running:
            for each in beside:
                await running.enter_async_context(each)
            yield
        pool.close()

    app = FastAPI(title="Onboarding", version=settings.version, lifespan=life)
    door = Door(secret=settings.secret, smoke=settings.smoke, colour=settings.colour)
    watch(app, door)
    health = Health(pool, settings.version)
    app.get("/health", response_model=document.Well)(health.process)
    reached = document.Reached
    app.get("/health/db", response_model=reached, responses={503: {"model": reached}})(
        health.database
    )
    users = Progress(door, pool)
    signed = APIRouter(dependencies=document.SIGNED)
    signed.get(STEPS, responses=document.answers({200: document.Steps}))(users.steps)
    signed.put(
        STEPS + "/{step}",
        responses=document.answers(
            {
                200: document.Made,
                400: document.Unfit,
                404: document.StepNotFound | document.Failed,
            }
        ),
        openapi_extra=document.asks(document.PROGRESS),
    )(users.make)
    app.include_router(signed)
    beside += [found for each in more if (found := each(app, door, pool)) is not None]
    return app


@dataclass(frozen=True, slots=True)
class Health:
    """What a health check asks."""

    pool: ConnectionPool
    version: str

    async def process(self) -> Body:
        """Tell that the process answers."""
        return {"status": "ok", "version": self.version}

    async def database(self) -> Body | JSONResponse:
        """Tell whether the database answers."""

        def ask() -> None:
            with self.pool.connection(timeout=LOOK_SECONDS) as connection:
                connection.execute("SELECT 1")

        try:
            await run_in_threadpool(ask)
        except (psycopg.Error, OSError):
            return JSONResponse({"status": "down"}, 503)
        return {"status": "ok"}


@dataclass(frozen=True, slots=True)
class Progress:
    """What users ask."""

    door: Door
    pool: ConnectionPool

    async def steps(self, request: Request) -> JSONResponse:
        """Tell a user's steps."""
        caller = self.door.caller(request)

        def ask() -> Body:
            with self.pool.connection() as connection:
                return progress.steps(connection, caller.user, caller.role)

        return answered(request, 200, await run_in_threadpool(ask))

    async def make(self, request: Request, step: str) -> JSONResponse:
        """Write a user's progress."""
        caller = self.door.caller(request)
        status = _status(await request.body())

        def make(connection: psycopg.Connection[Any]) -> Body | None:
            if caller.smoke:
                progress.give_smoke_its_step(connection)
            return progress.make(connection, caller.user, caller.role, step, status)

        made = await on_step(self.pool, step, make)
        return answered(request, 200, made)


async def on_step(
    pool: ConnectionPool,
    step: str,
    work: Callable[[psycopg.Connection[Any]], T | None],
    *,
    error: str = "Step not found",
) -> T:
    """Return what is done with a step.

    Raises:
        Answered: 404; there is no such step, or nothing of it that ``work`` is done with.
    """

    def asked() -> T | None:
        with pool.connection() as connection:
            return work(connection)

    found = None if "\0" in step else await run_in_threadpool(asked)
    if found is None:
        raise Answered(404, {"error": error, "stepId": step})
    return found


def _status(body: bytes) -> str:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    status = asked.get("status") if isinstance(asked, dict) else None
    if status not in progress.STATUSES:
        known = ", ".join(progress.STATUSES)
        raise Answered(400, {"error": "Validation failed", "errors": [f"status is one of {known}"]})
    return str(status)
