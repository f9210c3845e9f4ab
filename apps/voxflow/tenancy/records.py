"""Calls of providers as a tenant's agents report them; each counts once, and within the quota of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Response
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field
from voxflow.database import one
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time
from voxflow.text import Name  # noqa: TC002 - pydantic reads annotations at run time

from .callers import Caller, caller
from .envelope import Done, Refused, failures
from .providers import (  # noqa: TC001 - pydantic reads annotations at run time
    ByMinutes,
    ByTokens,
    Provider,
)

if TYPE_CHECKING:
    from datetime import datetime

    from fastapi import FastAPI
    from voxflow.database import Connection, Database, Row

RECORDS = "/api/usage/records"
# Locked: of two records at once the second one counts on the first one's tokens.
QUOTA = """
    SELECT monthly_token_quota AS tokens, date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month
    FROM users WHERE id = %s FOR NO KEY UPDATE"""
USED = """
    SELECT coalesce(sum(tokens), 0)::bigint AS tokens FROM usage_days
    WHERE user_id = %s AND day >= %s AND day < %s::date + interval '1 month'"""
KEEP = """
    INSERT INTO usage_records (user_id, record_id, provider, tokens, minutes, cost)
    VALUES (%(user)s, %(record_id)s, %(provider)s, %(tokens)s, %(minutes)s, %(cost)s)
    ON CONFLICT (user_id, record_id) DO NOTHING
    RETURNING recorded_at"""
BEFORE = """
    SELECT recorded_at, provider = %(provider)s AND tokens = %(tokens)s
        AND minutes = %(minutes)s::numeric(20, 6) AND cost = %(cost)s::numeric(20, 8) AS same
    FROM usage_records WHERE user_id = %(user)s AND record_id = %(record_id)s"""
ADD = """
    INSERT INTO usage_days (user_id, day, provider, calls, tokens, minutes, cost)
    VALUES (%(user)s, (now() AT TIME ZONE 'UTC')::date, %(provider)s, 1, %(tokens)s, %(minutes)s, %(cost)s)
    ON CONFLICT (user_id, day, provider) DO UPDATE
    SET calls = usage_days.calls + 1, tokens = usage_days.tokens + excluded.tokens,
        minutes = usage_days.minutes + excluded.minutes, cost = usage_days.cost + excluded.cost"""
TOUCH = """
    UPDATE api_keys SET last_used = greatest(last_used, now())
    WHERE user_id = %(user)s AND provider = %(provider)s"""
CALLS = Counter("voxflow_usage_records", "Calls that were reported", ["provider", "outcome"])
Asking = Annotated[Caller, Depends(caller)]
Amount = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]


class Call(BaseModel):
    """A call that was made; a report that is repeated has the same id."""

    # Minutes of a provider that is paid by tokens would be lost unseen.
    model_config = ConfigDict(extra="forbid")
    record_id: Name
    cost: Amount = 0.0


class CallByTokens(Call):
    """A call of a provider that is paid by tokens."""

    provider: ByTokens
    tokens: Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]


class CallByMinutes(Call):
    """A call of a provider that is paid by minutes."""

    provider: ByMinutes
    minutes: Amount


NewRecord = Annotated[CallByTokens | CallByMinutes, Field(discriminator="provider")]


class Record(BaseModel):
    """A call that is counted, and what is left of the month's tokens."""

    record_id: str
    provider: Provider
    recorded_at: Moment
    tokens_left: int


@dataclass(frozen=True, slots=True)
class Records:
    """What a tenant's agents report."""

    database: Database

    def report(self, asked_by: Asking, asked: NewRecord, response: Response) -> Row:
        """Count a call; one that is counted already is told again, with status 200."""
        values = _values(asked, asked_by.id)
        try:
            with self.database.for_tenant(asked_by.id) as connection:
                counted, told = _count(connection, values)
        except Refused:
            CALLS.labels(asked.provider, "refused").inc()
            raise
        CALLS.labels(asked.provider, "counted" if counted else "repeated").inc()
        response.status_code = 201 if counted else 200
        return {"data": told}

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        again: dict[int | str, dict[str, Any]] = {
            200: {"model": Done[Record], "description": "It was counted before"}
        }
        refusals = failures(400, 401, 403, 409)
        app.post(RECORDS, response_model=Done[Record], responses=again | refusals, status_code=201)(
            self.report
        )


def _values(asked: CallByTokens | CallByMinutes, user: str) -> Row:
    values = {"user": user, "tokens": 0, "minutes": 0.0} | asked.model_dump()
    # As they were written, and not as a binary fraction.
    return values | {name: Decimal(repr(values[name])) for name in ("minutes", "cost")}


def _count(connection: Connection, values: Row) -> tuple[bool, Row]:
    """Count a call where it is not counted yet, and tell whether that was so and what is told of it.

    Raises:
        Refused: Its id is another call's, or its tokens are more than are left.
    """
    user, tokens = values["user"], values["tokens"]
    quota = one(connection.execute(QUOTA, [user]))
    used = one(connection.execute(USED, [user, quota["month"], quota["month"]]))["tokens"]
    left = quota["tokens"] - used
    kept = connection.execute(KEEP, values).fetchone()
    moment = kept["recorded_at"] if kept is not None else _counted_before(connection, values)
    if kept is not None:
        if tokens > max(0, left):
            raise Refused(
                403,
                "TOKEN_QUOTA_EXCEEDED",
                "Monthly token quota reached",
                f"your quota is {quota['tokens']} tokens a month (UTC), {used} are used, "
                f"and this call has {tokens}",
            )
        connection.execute(ADD, values)
        connection.execute(TOUCH, values)
        left -= tokens
    told = {name: values[name] for name in ("record_id", "provider")}
    return kept is not None, told | {"recorded_at": moment, "tokens_left": max(0, left)}


def _counted_before(connection: Connection, values: Row) -> datetime:
    found = one(connection.execute(BEFORE, values))
    if not found["same"]:
        raise Refused(
            409,
            "RECORD_ID_TAKEN",
            "Another call was reported with this record_id",
            "a report that is repeated says the same; another call needs an id of its own",
        )
    moment: datetime = found["recorded_at"]
    return moment
