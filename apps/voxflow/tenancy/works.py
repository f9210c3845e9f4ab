"""A tenant's agents and campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from voxflow import works
from voxflow.database import one
from voxflow.works import Agent, Campaign, NewAgent, NewCampaign

from .callers import Caller, caller
from .envelope import Done, Refused, failures

if TYPE_CHECKING:
    from fastapi import FastAPI
    from voxflow.database import Database, Row

AGENTS, CAMPAIGNS = "/api/agents", "/api/campaigns"
LIMIT = "SELECT max_agents FROM users WHERE id = %s FOR NO KEY UPDATE"
OWNED = "SELECT count(*) AS agents FROM agents WHERE owner_id = %s"
Asking = Annotated[Caller, Depends(caller)]


@dataclass(frozen=True, slots=True)
class Works:
    """What a tenant asks about what is theirs."""

    database: Database

    def agents(self, asked_by: Asking) -> Row:
        """Tell one's agents."""
        with self.database.for_tenant(asked_by.id) as connection:
            return {"data": works.agents(connection, asked_by.id)}

    def agent(self, asked_by: Asking, agent_id: str) -> Row:
        """Tell one of one's agents."""
        found = None
        if "\0" not in agent_id:
            with self.database.for_tenant(asked_by.id) as connection:
                found = works.agent(connection, agent_id)
        if found is None:
            raise Refused(404, "NOT_FOUND", "You have no such agent")
        return {"data": found}

    def add_agent(self, asked_by: Asking, asked: NewAgent) -> Row:
        """Make an agent, within one's limit."""
        with self.database.for_tenant(asked_by.id) as connection:
            # Locked: of two requests at once the second one counts what the first has made.
            limit = one(connection.execute(LIMIT, [asked_by.id]))["max_agents"]
            there = one(connection.execute(OWNED, [asked_by.id]))["agents"]
            if there >= limit:
                raise Refused(
                    403,
                    "AGENT_LIMIT_EXCEEDED",
                    "Agent limit reached",
                    f"your limit is {limit} agents, and you have {there}",
                )
            return {"data": works.add_agent(connection, asked)}

    def campaigns(self, asked_by: Asking) -> Row:
        """Tell one's campaigns."""
        with self.database.for_tenant(asked_by.id) as connection:
            return {"data": works.campaigns(connection, asked_by.id)}

    def add_campaign(self, asked_by: Asking, asked: NewCampaign) -> Row:
        """Make a campaign of one of one's agents, or of none yet."""
        with self.database.for_tenant(asked_by.id) as connection:
            made = works.add_campaign(connection, asked)
        if made is None:
            raise Refused(
                400, "VALIDATION_ERROR", "Validation failed", "agent_id: you have no such agent"
            )
        return {"data": made}

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get(AGENTS, response_model=Done[list[Agent]], responses=failures(401))(self.agents)
        app.get(AGENTS + "/{agent_id}", response_model=Done[Agent], responses=failures(401, 404))(
            self.agent
        )
        app.post(
            AGENTS, response_model=Done[Agent], status_code=201, responses=failures(400, 401, 403)
        )(self.add_agent)
        app.get(CAMPAIGNS, response_model=Done[list[Campaign]], responses=failures(401))(
            self.campaigns
        )
        app.post(
            CAMPAIGNS, response_model=Done[Campaign], responses=failures(400, 401), status_code=201
        )(self.add_campaign)
