"""The routes of 1.0.0."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from voxflow import accounts, figures, tokens, works
from voxflow.health import Health
from voxflow.text import Prose  # noqa: TC002 - pydantic reads annotations at run time
from voxflow.works import (  # noqa: TC002 - FastAPI reads annotations at run time
    Agent,
    Campaign,
    NewAgent,
    NewCampaign,
)

from . import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from starlette.middleware.base import RequestResponseEndpoint
    from starlette.responses import Response
    from voxflow.database import Connection, Database, Row
    from voxflow.settings import Settings

    Life = Callable[[FastAPI], AbstractAsyncContextManager[None]]

LOGIN, AGENTS, CAMPAIGNS = "/api/auth/login", "/api/agents", "/api/campaigns"
# Each route looks at the token itself; here the document says that one is needed.
BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT")
# What each route may answer beside what it is for; the document says so.
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": errors.Refusal} for status in (400, 401, 500)
}


class SignIn(BaseModel):
    """An email and its password."""

    email: Prose
    password: Prose


class Token(BaseModel):
    """What signs requests."""

    token: str


class Agents(BaseModel):
    """All agents."""

    agents: list[Agent]


class Campaigns(BaseModel):
    """All campaigns."""

    campaigns: list[Campaign]


class OneAgent(BaseModel):
    """An agent that was made."""

    agent: Agent


class OneCampaign(BaseModel):
    """A campaign that was made."""

    campaign: Campaign


@dataclass(frozen=True, slots=True)
class Everybody:
    """What whoever has an account asks.

    Args:
        settings: What tokens are signed with.
        database: Where everything is.
        makers: Whether the database keeps who made what.
    """

    settings: Settings
    database: Database
    makers: bool = False

    def login(self, asked: SignIn) -> dict[str, str]:
        """Give a token for an email and its password."""
        with self.database.for_everybody() as connection:
            account = accounts.sign_in(connection, asked.email, asked.password)
        figures.signed_in(well=account is not None)
        if account is None:
            raise HTTPException(401, "Invalid credentials")
        claims = {"id": account.id, "email": account.email}
        return {"token": tokens.signed(claims, self.settings.secret, self.settings.token_seconds)}

    def agents(self, request: Request) -> dict[str, list[Row]]:
        """Tell all agents."""
        self._admit(request)
        with self.database.for_everybody() as connection:
            return {"agents": works.agents(connection)}

    def add_agent(self, request: Request, asked: NewAgent) -> dict[str, Row]:
        """Make an agent."""
        with self._making(self._admit(request)) as connection:
            return {"agent": works.add_agent(connection, asked)}

    def campaigns(self, request: Request) -> dict[str, list[Row]]:
        """Tell all campaigns."""
        self._admit(request)
        with self.database.for_everybody() as connection:
            return {"campaigns": works.campaigns(connection)}

    def add_campaign(self, request: Request, asked: NewCampaign) -> dict[str, Row]:
        """Make a campaign."""
        with self._making(self._admit(request)) as connection:
            made = works.add_campaign(connection, asked)
        if made is None:
            raise HTTPException(400, "agent_id: there is no such agent")
        return {"campaign": made}

    def _admit(self, request: Request) -> str:
        try:
            said = tokens.claims(request.headers.get("authorization"), self.settings.secret)
        except tokens.Unauthorized:
            raise HTTPException(401, "Unauthorized") from None
        return str(said["id"])

    def _making(self, user: str) -> AbstractContextManager[Connection]:
        return self.database.for_maker(user) if self.makers else self.database.for_everybody()

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.post(LOGIN, response_model=Token, responses=REFUSALS)(self.login)
        signed = APIRouter(dependencies=[Security(BEARER)], responses=REFUSALS)
        signed.get(AGENTS, response_model=Agents)(self.agents)
        signed.get(CAMPAIGNS, response_model=Campaigns)(self.campaigns)
        signed.post(AGENTS, status_code=201, response_model=OneAgent)(self.add_agent)
        signed.post(CAMPAIGNS, status_code=201, response_model=OneCampaign)(self.add_campaign)
        app.include_router(signed)


def routes(
    settings: Settings, database: Database, life: Life | None = None, *, makers: bool = False
) -> FastAPI:
    """Return the app of 1.0.0 on a database that somebody else opens.

    Args:
        settings: What tokens are signed with.
        database: Where everything is.
        life: What begins and ends with the app.
        makers: Whether the database keeps who made what.
    """
    app = FastAPI(title="VoxFlow", version=settings.version, lifespan=life)
    errors.tell(app)
    Health(database, settings.version).add(app)
    Everybody(settings, database, makers).add(app)
    return app


def make(settings: Settings, database: Database) -> FastAPI:
    """Return the app of 1.0.0; it opens and closes the database."""

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        database.open()
        if settings.smoke is not None:
            with database.for_everybody() as connection:
                accounts.ensure(connection, settings.smoke)
        yield
        database.close()

    app = routes(settings, database, life)

    @app.middleware("http")
    async def mark(request: Request, proceed: RequestResponseEndpoint) -> Response:
        answer = await proceed(request)
        if settings.colour:
            answer.headers["X-Release"] = settings.colour
        return answer

    return app
