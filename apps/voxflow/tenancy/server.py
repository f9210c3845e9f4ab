"""The app for tenants."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from voxflow import accounts, passwords
from voxflow.health import Health

from . import envelope
from .accounts import Accounts
from .administration import Administration
from .api_keys import ApiKeys
from .audit_log import AuditLog
from .callers import RESERVED, Callers
from .entrance import Entrance
from .limits import Limits
from .monitoring import Monitoring
from .performance import Performance
from .records import Records
from .usage import Usage
from .works import Works

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import Protocol

    from starlette.types import ASGIApp
    from voxflow.database import Database
    from voxflow.settings import Person, Settings

    from .settings import Terms

    Wrap = Callable[[FastAPI], ASGIApp]

    class Routes(Protocol):
        """Something with routes to give to an app."""

        def add(self, app: FastAPI) -> None:
            """Give an app these routes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the app runs on.

    Args:
        settings: What every version reads of the environment.
        terms: What tenants' versions read beside it.
        database: Where everything is.
        contract: Whether accounts may still be legacy ones.
    """

    settings: Settings
    terms: Terms
    database: Database
    contract: bool


def make(service: Service, between: Wrap | None = None, more: Sequence[Routes] = ()) -> ASGIApp:
    """Return the app for tenants; it opens and closes the database.

    Args:
        service: What it runs on.
        between: Stands between the entrance and the routes.
        more: Routes beside the tenants' own.
    """
    settings, database = service.settings, service.database
    limits = Limits(service.terms)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        database.open()
        with database.for_everybody() as connection:
            if settings.smoke is not None:
                accounts.ensure(connection, settings.smoke)
        if service.terms.admin is not None:
            name_administrator(database, service.terms.admin)
        yield
        database.close()

    app = FastAPI(title="VoxFlow", version=settings.version, lifespan=life)
    envelope.tell(app)
    Health(database, settings.version).add(app)

    @app.get("/health/redis", response_model=None, tags=["health"])
    def cache() -> JSONResponse:
        """Tell whether Redis answers."""
        if limits.ping():
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "down"}, 503)

    own: list[Routes] = [
        Accounts(settings, database, service.contract),
        Works(database),
        ApiKeys(database, service.terms.ring),
        Usage(database),
        Records(database),
        Administration(database),
        AuditLog(database),
        Performance(database, service.terms.long_query),
        Monitoring(database, settings.version),
    ]
    for routes in (*own, *more):
        routes.add(app)
    callers = Callers(database, settings.secret, contract=service.contract)
    return Entrance(between(app) if between else app, callers, limits, settings.colour)


def name_administrator(database: Database, person: Person) -> None:
    """Give the reserved administrator the email and the password that the environment says."""
    with database.for_everybody() as connection:
        found = connection.execute(
            "SELECT email, password FROM users WHERE id = %s FOR NO KEY UPDATE", [RESERVED]
        ).fetchone()
        if found is None:
            return
        if found["email"] == person.email and passwords.fits(found["password"], person.password):
            return
        connection.execute(
            "UPDATE users SET email = %s, password = %s WHERE id = %s",
            [person.email, passwords.hashed(person.password), RESERVED],
        )
