"""Agents and campaigns: what a session sees of them, and how they come to be.

What is made names no owner: before there are tenants there is none, and afterwards the database gives it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from pydantic import BaseModel

from .database import one
from .moments import Moment  # noqa: TC001 - pydantic reads annotations at run time
from .text import Name, Prose  # noqa: TC001 - pydantic reads annotations at run time

if TYPE_CHECKING:
    from typing import LiteralString

    from .database import Connection, Row

AGENTS = "SELECT id, name, description, voice, created_at FROM agents"
CAMPAIGNS = "SELECT id, name, agent_id, status, created_at FROM campaigns"
ADD_AGENT = """
    INSERT INTO agents (id, name, description, voice) VALUES (%s, %s, %s, %s)
    RETURNING id, name, description, voice, created_at"""
ADD_CAMPAIGN = """
    INSERT INTO campaigns (id, name, agent_id) VALUES (%s, %s, %s)
    RETURNING id, name, agent_id, status, created_at"""


class NewAgent(BaseModel):
    """An agent that is asked for."""

    name: Name
    description: Prose = ""
    voice: Name = "default"


class NewCampaign(BaseModel):
    """A campaign that is asked for."""

    name: Name
    agent_id: Name | None = None


class Agent(BaseModel):
    """An agent that is there."""

    id: str
    name: str
    description: str
    voice: str
    created_at: Moment


class Campaign(BaseModel):
    """A campaign that is there."""

    id: str
    name: str
    agent_id: str | None
    status: str
    created_at: Moment


def agents(connection: Connection, owner: str | None = None) -> list[Row]:
    """Return the agents, oldest first.

    Args:
        connection: A transaction; the database holds it to what it may see.
        owner: Whose they are, for an index to be used; all that it sees for ``None``.
    """
    return _listed(connection, AGENTS, owner)


def agent(connection: Connection, key: str) -> Row | None:
    """Return one agent."""
    return connection.execute(AGENTS + " WHERE id = %s", [key]).fetchone()


def add_agent(connection: Connection, asked: NewAgent) -> Row:
    """Make an agent of whoever the session is for."""
    return one(
        connection.execute(
            ADD_AGENT, [str(uuid.uuid4()), asked.name, asked.description, asked.voice]
        )
    )


def campaigns(connection: Connection, owner: str | None = None) -> list[Row]:
    """Return the campaigns, oldest first; as `agents` does."""
    return _listed(connection, CAMPAIGNS, owner)


def add_campaign(connection: Connection, asked: NewCampaign) -> Row | None:
    """Make a campaign of whoever the session is for; ``None`` where they have no such agent."""
    # Locked: until the campaign is there nobody gives its agent to another owner.
    held = AGENTS + " WHERE id = %s FOR KEY SHARE"
    if asked.agent_id is not None and not connection.execute(held, [asked.agent_id]).fetchone():
        return None
    return one(connection.execute(ADD_CAMPAIGN, [str(uuid.uuid4()), asked.name, asked.agent_id]))


def _listed(connection: Connection, select: LiteralString, owner: str | None) -> list[Row]:
    if owner is None:
        return connection.execute(select + " ORDER BY created_at, id").fetchall()
    owned = select + " WHERE owner_id = %s ORDER BY created_at, id"
    return connection.execute(owned, [owner]).fetchall()
