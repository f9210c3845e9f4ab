"""What a tenant used: this month and by day, of each provider, by UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Depends
from pydantic import BaseModel, BeforeValidator
from voxflow.database import one

from .callers import Caller, caller
from .envelope import Done, Refused, failures
from .providers import TOKENS, Provider

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import FastAPI
    from voxflow.database import Database, Row

CURRENT, HISTORY = "/api/usage/current", "/api/usage/history"
DAYS = 366
MONTH = """
    SELECT max_agents, monthly_token_quota, start_date, (start_date + interval '1 month - 1 day')::date AS end_date
    FROM users, (SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS start_date) AS month
    WHERE id = %s"""
BY_DAY = """
    SELECT day AS date, provider, calls, tokens, minutes, cost FROM usage_days
    WHERE user_id = %s AND day BETWEEN %s AND %s ORDER BY day, provider"""
WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Asking = Annotated[Caller, Depends(caller)]


def _written(value: object) -> object:
    if isinstance(value, str) and not WRITTEN.fullmatch(value):
        raise ValueError("must be a date as 2024-01-31")
    return value


Day = Annotated[date, BeforeValidator(_written)]


class Totals(BaseModel):
    """What was used, of all providers."""

    total_tokens: int
    total_calls: int
    api_costs: float


class Period(Totals):
    """What was used in a month."""

    start_date: date
    end_date: date


class Ceilings(BaseModel):
    """What an account may have at the most."""

    max_agents: int
    monthly_token_quota: int


class TokensUsed(BaseModel):
    """What was used of a provider that is paid by tokens."""

    tokens: int
    cost: float


class MinutesUsed(BaseModel):
    """What was used of a provider that is paid by minutes."""

    minutes: float
    cost: float


class Current(BaseModel):
    """What was used this month; providers that were not are left out."""

    current_period: Period
    limits: Ceilings
    usage_by_provider: dict[Provider, TokensUsed | MinutesUsed]


class DayUsed(Totals):
    """What was used on a day; providers that were not are left out."""

    date: date
    breakdown: dict[Literal["groq_tokens", "deepgram_minutes", "twilio_minutes"], int | float]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant asks about what they used."""

    database: Database

    def current(self, asked_by: Asking) -> Row:
        """Tell what was used this month, and what may be."""
        with self.database.for_tenant(asked_by.id) as connection:
            month = one(connection.execute(MONTH, [asked_by.id]))
            period = {name: month.pop(name) for name in ("start_date", "end_date")}
            used = connection.execute(BY_DAY, [asked_by.id, *period.values()]).fetchall()
        by_provider = sorted(used, key=itemgetter("provider"))
        told = {
            provider: _used(provider, list(rows))
            for provider, rows in groupby(by_provider, itemgetter("provider"))
        }
        totals = period | _totals(used)
        return {"data": {"current_period": totals, "limits": month, "usage_by_provider": told}}

    def history(self, asked_by: Asking, start_date: Day, end_date: Day) -> Row:
        """Tell what was used, by day; days without any are left out."""
        if end_date < start_date:
            raise _unfit("end_date: must not be before start_date")
        if (end_date - start_date).days >= DAYS:
            raise _unfit(f"end_date: must be at most {DAYS - 1} days after start_date")
        with self.database.for_tenant(asked_by.id) as connection:
            found = connection.execute(BY_DAY, [asked_by.id, start_date, end_date]).fetchall()
        days = {day: list(rows) for day, rows in groupby(found, itemgetter("date"))}
        told = [
            {"date": day, **_totals(rows), "breakdown": dict(map(_portion, rows))}
            for day, rows in days.items()
        ]
        return {"data": told}

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get(CURRENT, response_model=Done[Current], responses=failures(401))(self.current)
        app.get(HISTORY, response_model=Done[list[DayUsed]], responses=failures(400, 401))(
            self.history
        )


def _totals(rows: Iterable[Row]) -> Row:
    rows = list(rows)
    return {
        "total_tokens": sum(row["tokens"] for row in rows),
        "total_calls": sum(row["calls"] for row in rows),
        # Exact until it is told: costs are decimals.
        "api_costs": float(sum(row["cost"] for row in rows)),
    }


def _measure(provider: str) -> str:
    return "tokens" if provider in TOKENS else "minutes"


def _used(provider: str, rows: list[Row]) -> Row:
    measure = _measure(provider)
    amount = sum(row[measure] for row in rows)
    return {
        measure: amount if measure == "tokens" else float(amount),
        "cost": float(sum(row["cost"] for row in rows)),
    }


def _portion(row: Row) -> tuple[str, int | float]:
    measure = _measure(row["provider"])
    amount = row[measure]
    return f"{row['provider']}_{measure}", amount if measure == "tokens" else float(amount)


def _unfit(details: str) -> Refused:
    return Refused(400, "VALIDATION_ERROR", "Validation failed", details)
