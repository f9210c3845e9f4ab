"""How the database is, for administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Depends
from pydantic import BaseModel

from . import statistics
from .callers import Caller, admin
from .envelope import Done, failures
from .rating import rate

if TYPE_CHECKING:
    from fastapi import FastAPI
    from voxflow.database import Database, Row

HEALTH, METRICS = "/api/performance/health", "/api/performance/metrics"
Asking = Annotated[Caller, Depends(admin)]


class Summary(BaseModel):
    """What the score stands on; a ratio is null where nothing was read yet."""

    cache_hit_ratio: float | None
    active_connections: int
    lock_waits: int
    database_size: str


class SystemHealth(BaseModel):
    """How well the database is, and why."""

    health_score: int
    health_status: Literal["excellent", "good", "fair", "critical"]
    issues: list[str]
    metrics_summary: Summary


class ConnectionStats(BaseModel):
    """The app's sessions, beside the one that asks."""

    active_connections: int
    idle_connections: int
    longest_query_seconds: float


class Ratios(BaseModel):
    """Percent of blocks that were found in memory; null where nothing was read yet."""

    cache_hit_ratio: float | None
    index_hit_ratio: float | None


class TableStats(BaseModel):
    """A table of the app; its size is null while somebody has it for themselves."""

    tablename: str
    total_size: str | None
    live_tuples: int
    dead_tuples: int


class Metrics(BaseModel):
    """The figures of the database."""

    connection_stats: ConnectionStats
    cache_hit_ratio: Ratios
    table_stats: list[TableStats]


@dataclass(frozen=True, slots=True)
class Performance:
    """What administrators ask about the database.

    Args:
        database: The one.
        long: How many seconds of a query are long.
    """

    database: Database
    long: int

    def health(self, _: Asking) -> Row:
        """Tell how well the database is."""
        with self.database.for_everybody() as connection:
            sessions, server = statistics.sessions(connection), statistics.server(connection)
            (blocks, _indexes), tables = (
                statistics.blocks(connection),
                statistics.tables(connection),
            )
        rating = rate(sessions, server, blocks, tables, self.long)
        return {
            "data": {
                "health_score": rating.score,
                "health_status": rating.word,
                "issues": [issue.sentence for issue in rating.issues],
                "metrics_summary": {
                    "cache_hit_ratio": blocks.ratio,
                    "active_connections": sessions.active,
                    "lock_waits": sessions.waits,
                    "database_size": statistics.told(server.size),
                },
            }
        }

    def metrics(self, _: Asking) -> Row:
        """Tell the figures of the database."""
        with self.database.for_everybody() as connection:
            sessions = statistics.sessions(connection)
            blocks, indexes = statistics.blocks(connection)
            sizes = [
                (table, statistics.size(connection, table))
                for table in statistics.tables(connection)
            ]
        return {
            "data": {
                "connection_stats": {
                    "active_connections": sessions.active,
                    "idle_connections": sessions.idle,
                    "longest_query_seconds": round(sessions.longest_query, 3),
                },
                "cache_hit_ratio": {
                    "cache_hit_ratio": blocks.ratio,
                    "index_hit_ratio": indexes.ratio,
                },
                "table_stats": [
                    {
                        "tablename": table.name,
                        "total_size": None if size is None else statistics.told(size),
                        "live_tuples": table.live,
                        "dead_tuples": table.dead,
                    }
                    for table, size in sizes
                ],
            }
        }

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get(HEALTH, response_model=Done[SystemHealth], responses=failures(401, 403))(
            self.health
        )
        app.get(METRICS, response_model=Done[Metrics], responses=failures(401, 403))(self.metrics)
