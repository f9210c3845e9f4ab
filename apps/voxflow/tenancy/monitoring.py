"""What is asked of the service, and by whom still by deprecated routes; for administrators."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from pydantic import BaseModel
from voxflow import figures
from voxflow.database import one
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time

from . import counted
from .callers import Caller, admin
from .envelope import Done, failures

if TYPE_CHECKING:
    from collections.abc import Iterator

    import prometheus_client
    from fastapi import FastAPI
    from voxflow.database import Database, Row

USAGE = "/api/monitoring/usage"
API = "/api/"
CLIENT_ERROR, SERVER_ERROR = 400, 500
DEPRECATED = """
    SELECT route, sum(requests)::bigint AS requests, count(DISTINCT user_id) AS accounts,
        max(last_used) AS last_used
    FROM deprecated_usage GROUP BY route ORDER BY route"""
MONTH = """
    SELECT start_date, (start_date + interval '1 month - 1 day')::date AS end_date
    FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS start_date) AS month"""
PROVIDERS = """
    SELECT provider, count(DISTINCT user_id) AS accounts, sum(calls)::bigint AS calls,
        sum(tokens)::bigint AS tokens, sum(minutes)::float8 AS minutes, sum(cost)::float8 AS cost
    FROM usage_days WHERE day BETWEEN %(start_date)s AND %(end_date)s
    GROUP BY provider ORDER BY provider"""
Asking = Annotated[Caller, Depends(admin)]


class Area(BaseModel):
    """Requests to routes of one kind, as ``agents``."""

    area: str
    requests: int
    client_errors: int
    server_errors: int


class Process(BaseModel):
    """What the process that answers has counted since it began; other hosts count their own."""

    host: str
    version: str
    since: Moment
    requests: list[Area]
    rate_limited: dict[str, int]
    sign_ins_failed: int


class DeprecatedRoute(BaseModel):
    """A deprecated route, on all hosts, since they are counted."""

    route: str
    requests: int
    accounts: int
    last_used: Moment


class ProviderUsed(BaseModel):
    """What all accounts used of a provider."""

    provider: str
    accounts: int
    calls: int
    tokens: int
    minutes: float
    cost: float


class Month(BaseModel):
    """What all accounts used this month (UTC)."""

    start_date: date
    end_date: date
    providers: list[ProviderUsed]


class Service(BaseModel):
    """What is asked of the service."""

    process: Process
    deprecated_routes: list[DeprecatedRoute]
    month: Month


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What administrators ask about the service.

    Args:
        database: Where everything is.
        version: The release.
        since: When this process began.
    """

    database: Database
    version: str
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def usage(self, _: Asking) -> Row:
        """Tell what is asked, what fails, what is refused, and what providers cost."""
        with self.database.for_all_tenants() as connection:
            deprecated = connection.execute(DEPRECATED).fetchall()
            month = one(connection.execute(MONTH))
            providers = connection.execute(PROVIDERS, month).fetchall()
        process = {
            "host": socket.gethostname(),
            "version": self.version,
            "since": self.since,
            "requests": list(_areas()),
            "rate_limited": {
                labels["tier"]: count for labels, count in _values(counted.RATE_LIMITED)
            },
            "sign_ins_failed": sum(
                count
                for labels, count in _values(figures.SIGN_INS)
                if labels["outcome"] == "failure"
            ),
        }
        return {
            "data": {
                "process": process,
                "deprecated_routes": deprecated,
                "month": {**month, "providers": providers},
            }
        }

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get(USAGE, response_model=Done[Service], responses=failures(401, 403))(self.usage)


def _areas() -> Iterator[Row]:
    asked: Counter[str] = Counter()
    unfit: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for labels, count in _values(figures.REQUESTS):
        area, status = _area(labels["route"]), int(labels["status"])
        asked[area] += count
        unfit[area] += count if CLIENT_ERROR <= status < SERVER_ERROR else 0
        failed[area] += count if status >= SERVER_ERROR else 0
    for area in sorted(asked):
        yield {
            "area": area,
            "requests": asked[area],
            "client_errors": unfit[area],
            "server_errors": failed[area],
        }


def _area(route: str) -> str:
    """Return ``agents`` for ``/api/agents/{agent_id}``."""
    return route.removeprefix(API).strip("/").split("/")[0]


def _values(counter: prometheus_client.Counter) -> Iterator[tuple[dict[str, str], int]]:
    """Give what a counter has counted, by its labels."""
    for metric in counter.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                yield sample.labels, int(sample.value)
