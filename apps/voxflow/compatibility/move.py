"""A legacy account becomes a tenant, and takes along what it made.

What it made goes with it also above its limit: it makes no more until there is room. An agent stays
everybody's while somebody else's campaign stands on it, and so does a campaign whose agent stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel
from tenancy import audit
from voxflow.database import one
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time

if TYPE_CHECKING:
    from voxflow.database import Connection

MOVED = "account.moved"
SHOWN = 100
# One snapshot for both: a campaign goes just where its agent does.
GOING = """
    going AS (
        SELECT id FROM agents AS mine
        WHERE made_by = %(user)s AND shared AND NOT EXISTS (
            SELECT FROM campaigns
            WHERE campaigns.agent_id = mine.id AND campaigns.made_by IS DISTINCT FROM %(user)s
        )
    ),
    following AS (
        SELECT id FROM campaigns
        WHERE made_by = %(user)s AND shared
            AND (agent_id IS NULL OR agent_id IN (SELECT id FROM going))
    )"""
COUNT = f"""
    WITH {GOING}
    SELECT (SELECT count(*) FROM going) AS agents, (SELECT count(*) FROM following) AS campaigns"""  # noqa: S608 - constants alone
GIVE = f"""
    WITH {GOING},
    agents_given AS (
        UPDATE agents SET owner_id = %(user)s, shared = false
        WHERE id IN (SELECT id FROM going) RETURNING id
    ),
    campaigns_given AS (
        UPDATE campaigns SET owner_id = %(user)s, shared = false
        WHERE id IN (SELECT id FROM following) RETURNING id
    )
    SELECT (SELECT count(*) FROM agents_given) AS agents,
        (SELECT count(*) FROM campaigns_given) AS campaigns"""  # noqa: S608 - constants alone
STAYING = f"""
    WITH {GOING}
    SELECT 'agent' AS kind, id, name, 'a campaign of somebody else stands on it' AS why FROM agents
    WHERE made_by = %(user)s AND shared AND id NOT IN (SELECT id FROM going)
    UNION ALL
    SELECT 'campaign', id, name, 'its agent stays' FROM campaigns
    WHERE made_by = %(user)s AND shared AND id NOT IN (SELECT id FROM following)
    ORDER BY kind, name, id
    LIMIT {SHOWN}"""  # noqa: S608 - constants alone
# Nobody puts a campaign on an agent that is about to go; `works.add_campaign` waits for this.
HOLD = "SELECT id FROM agents WHERE made_by = %s AND shared ORDER BY id FOR UPDATE"
ACCOUNT = "SELECT contract, max_agents FROM users WHERE id = %s"
OWNED = "SELECT count(*) AS agents FROM agents WHERE owner_id = %s AND NOT shared"
TENANT = "UPDATE users SET contract = 'tenant' WHERE id = %s"
KEPT = """
    SELECT min(at) AS moved_at, coalesce(sum((details->>'agents')::bigint), 0)::bigint AS agents,
        coalesce(sum((details->>'campaigns')::bigint), 0)::bigint AS campaigns
    FROM audit_log WHERE subject = %s AND action = %s"""


class Works(BaseModel):
    """How many agents and campaigns."""

    agents: int
    campaigns: int


class Left(BaseModel):
    """Something that an account made and that stays everybody's."""

    kind: Literal["agent", "campaign"]
    id: str
    name: str
    why: str


class Room(BaseModel):
    """How many agents an account may have, and how many it has."""

    max_agents: int
    agents: int


class Prospect(BaseModel):
    """What moving an account would do."""

    contract: Literal["legacy", "tenant"]
    goes: Works
    stays: list[Left]
    limits: Room


class Result(BaseModel):
    """What moving an account did, however often it was asked for."""

    contract: Literal["tenant"] = "tenant"
    moved_at: Moment
    moved: Works
    stays: list[Left]
    limits: Room


def prospect(connection: Connection, user: str) -> Prospect:
    """Tell what moving an account would do.

    Args:
        connection: A transaction that sees everything.
        user: Whose it is.
    """
    account = one(connection.execute(ACCOUNT, [user]))
    goes = Works(**one(connection.execute(COUNT, {"user": user})))
    return Prospect(
        contract=account["contract"],
        goes=goes,
        stays=_stays(connection, user),
        limits=_room(connection, user, account["max_agents"]),
    )


def move(connection: Connection, user: str, request_id: str) -> Result | None:
    """Make an account a tenant; ``None`` for one that never was anything else.

    Asked again it answers the same, and gives what a request made that was under way the first time.

    Args:
        connection: A transaction that sees everything.
        user: Whose it is.
        request_id: What the audit log finds the request by.
    """
    account = one(connection.execute(ACCOUNT + " FOR UPDATE", [user]))
    connection.execute(HOLD, [user])
    given = Works(**one(connection.execute(GIVE, {"user": user})))
    if account["contract"] == "legacy" or given.agents or given.campaigns:
        connection.execute(TENANT, [user])
        audit.keep(
            connection,
            actor=user,
            action=MOVED,
            subject=user,
            details=given.model_dump(),
            request_id=request_id,
        )
    kept = one(connection.execute(KEPT, [user, MOVED]))
    if kept["moved_at"] is None:
        return None
    return Result(
        moved_at=kept["moved_at"],
        moved=Works(agents=kept["agents"], campaigns=kept["campaigns"]),
        stays=_stays(connection, user),
        limits=_room(connection, user, account["max_agents"]),
    )


def _stays(connection: Connection, user: str) -> list[Left]:
    return [Left(**row) for row in connection.execute(STAYING, {"user": user}).fetchall()]


def _room(connection: Connection, user: str, limit: int) -> Room:
    return Room(max_agents=limit, agents=one(connection.execute(OWNED, [user]))["agents"])
