"""What administrators do with accounts: see them all, limit them, close and open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from voxflow.database import one
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time
from voxflow.text import Prose  # noqa: TC002 - pydantic reads annotations at run time

from . import audit
from .callers import RESERVED, Caller, admin
from .envelope import Done, Refused, failures
from .pages import PageNumber, PageSize, Pagination, pagination, skipped
from .tiers import Tier  # noqa: TC001 - pydantic reads annotations at run time

if TYPE_CHECKING:
    from typing import LiteralString

    from fastapi import FastAPI
    from voxflow.database import Connection, Database, Row

USERS, USER = "/api/admin/users", "/api/admin/users/{user_id}"
COLUMNS = """
    WITH account AS (
        SELECT id, email, role, organization_name, subscription_tier, max_agents,
            monthly_token_quota, is_active, created_at
        FROM users """
PAGED, NAMED = "ORDER BY created_at, id LIMIT %s OFFSET %s", "WHERE id = %s"
# Counted for the accounts of a page alone, by the indexes on whose they are.
COUNTED = """
    ) SELECT account.*,
        (SELECT count(*) FROM agents WHERE owner_id = account.id) AS agent_count,
        jsonb_build_object('tokens', used.tokens, 'calls', used.calls) AS current_usage
    FROM account CROSS JOIN LATERAL (
        SELECT coalesce(sum(tokens), 0)::bigint AS tokens, coalesce(sum(calls), 0)::bigint AS calls
        FROM usage_days
        WHERE user_id = account.id AND day >= date_trunc('month', now() AT TIME ZONE 'UTC')::date
            AND day < (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')::date
    ) AS used ORDER BY account.created_at, account.id"""
PAGE, ONE = COLUMNS + PAGED + COUNTED, COLUMNS + NAMED + COUNTED
HELD = """
    SELECT max_agents, monthly_token_quota, is_active FROM users WHERE id = %s FOR NO KEY UPDATE"""
LIMIT = """
    UPDATE users SET max_agents = %(max_agents)s, monthly_token_quota = %(monthly_token_quota)s
    WHERE id = %(id)s"""
SWITCH = "UPDATE users SET is_active = %(is_active)s WHERE id = %(id)s"
Asking = Annotated[Caller, Depends(admin)]


class Used(BaseModel):
    """What an account used this month (UTC), of all providers."""

    tokens: int
    calls: int


class Listed(BaseModel):
    """An account in the list of all."""

    id: str
    email: str
    organization_name: str
    subscription_tier: Tier
    is_active: bool
    agent_count: int
    current_usage: Used


class Account(Listed):
    """An account, with what it may have."""

    role: str
    max_agents: int
    monthly_token_quota: int
    created_at: Moment


class Users(BaseModel):
    """Accounts, oldest first."""

    users: list[Listed]
    pagination: Pagination


class NewLimits(BaseModel):
    """Limits that are asked for; those that are not named stay."""

    model_config = ConfigDict(extra="forbid")

    max_agents: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] | None = None
    monthly_token_quota: Annotated[int, Field(strict=True, ge=0, le=10**12)] | None = None
    notes: Prose = ""


class NewStatus(BaseModel):
    """Whether an account is to be let in."""

    model_config = ConfigDict(extra="forbid")

    is_active: Annotated[bool, Field(strict=True)]
    notes: Prose = ""


@dataclass(frozen=True, slots=True)
class Administration:
    """What administrators ask about accounts."""

    database: Database

    def users(self, _: Asking, page: PageNumber = 1, limit: PageSize = 20) -> Row:
        """Tell all accounts, oldest first, a page at a time."""
        with self.database.for_all_tenants() as connection:
            total = one(connection.execute("SELECT count(*) AS users FROM users"))["users"]
            found = connection.execute(PAGE, [limit, skipped(page, limit)]).fetchall()
        return {"data": {"users": found, "pagination": pagination(page, limit, total)}}

    def user(self, _: Asking, user_id: str) -> Row:
        """Tell one account, with its limits."""
        with self.database.for_all_tenants() as connection:
            return {"data": _told(connection, user_id)}

    def limit(self, asked_by: Asking, user_id: str, asked: NewLimits, request: Request) -> Row:
        """Change what an account may have, from its next request on; what it has stays."""
        wanted = asked.model_dump(include={"max_agents", "monthly_token_quota"}, exclude_none=True)
        if not wanted:
            raise Refused(
                400,
                "VALIDATION_ERROR",
                "Validation failed",
                "name max_agents, monthly_token_quota, or both",
            )
        deed = _Deed.of(asked_by, request, "account.limited", asked.notes)
        return self._change(user_id, LIMIT, wanted, deed)

    def switch(self, asked_by: Asking, user_id: str, asked: NewStatus, request: Request) -> Row:
        """Let an account in, or refuse it from its next request on, whatever token it has."""
        if not asked.is_active and user_id in (asked_by.id, RESERVED):
            # Somebody has to be left who can open it again.
            raise Refused(
                409,
                "ACCOUNT_NEEDED",
                "This account cannot be closed",
                "one's own account and the reserved administrator stay open",
            )
        action = "account.opened" if asked.is_active else "account.closed"
        deed = _Deed.of(asked_by, request, action, asked.notes)
        return self._change(user_id, SWITCH, {"is_active": asked.is_active}, deed)

    def _change(self, user_id: str, statement: LiteralString, wanted: Row, deed: _Deed) -> Row:
        with self.database.for_all_tenants() as connection:
            before = _held(connection, user_id)
            after = before | wanted
            connection.execute(statement, after | {"id": user_id})
            audit.keep(
                connection,
                actor=deed.actor,
                action=deed.action,
                subject=user_id,
                details={
                    "before": {name: before[name] for name in wanted},
                    "after": wanted,
                    "notes": deed.notes,
                },
                request_id=deed.request_id,
            )
            return {"data": _told(connection, user_id)}

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get(USERS, response_model=Done[Users], responses=failures(400, 401, 403))(self.users)
        app.get(USER, response_model=Done[Account], responses=failures(401, 403, 404))(self.user)
        app.put(
            USER + "/limits",
            response_model=Done[Account],
            responses=failures(400, 401, 403, 404),
        )(self.limit)
        app.put(
            USER + "/status",
            response_model=Done[Account],
            responses=failures(400, 401, 403, 404, 409),
        )(self.switch)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deed:
    actor: str
    action: str
    notes: str
    request_id: str

    @classmethod
    def of(cls, asked_by: Caller, request: Request, action: str, notes: str) -> _Deed:
        known: str = request.state.request_id
        return cls(actor=asked_by.id, action=action, notes=notes, request_id=known)


def _held(connection: Connection, user_id: str) -> dict[str, Any]:
    """Lock an account, so that of two changes at once each one tells what it found."""
    found = None if "\0" in user_id else connection.execute(HELD, [user_id]).fetchone()
    if found is None:
        raise _unknown()
    return found


def _told(connection: Connection, user_id: str) -> Row:
    found = None if "\0" in user_id else connection.execute(ONE, [user_id]).fetchone()
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Refused:
    return Refused(404, "NOT_FOUND", "There is no such account", "GET /api/admin/users has them")
