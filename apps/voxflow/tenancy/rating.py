"""How well the database is: 100 points, less those that each issue costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .statistics import Blocks, Server, Sessions, Table

BEST = 100
# From how many points on it is called so.
WORDS = ((90, "excellent"), (75, "good"), (50, "fair"), (0, "critical"))
# From how many waiting sessions on, and what that costs.
WAITS = ((5, 30), (1, 15))
# From which share of the server's connections on.
CONNECTIONS = ((0.9, 30), (0.8, 15))
# Below how many percent from memory; a few blocks after a start say nothing.
CACHE, BLOCKS_THAT_TELL = ((90.0, 20), (95.0, 10)), 10_000
# How many times as long as is long, and what that costs.
LONG = ((5, 25), (1, 15))
IDLE_POINTS = 15
# Rows that are gone: how many, as a share of all, what that costs, and for all tables at the most.
DEAD, DEAD_SHARE, DEAD_POINTS, DEAD_POINTS_MOST = 10_000, 0.2, 5, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Something that is not as it should be.

    Args:
        points: What it costs.
        sentence: What people read.
    """

    points: int
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """How well the database is.

    Args:
        score: 0 to 100.
        word: What that is called.
        issues: Why it is not 100.
    """

    score: int
    word: str
    issues: tuple[Issue, ...]


def rate(
    sessions: Sessions, server: Server, blocks: Blocks, tables: Iterable[Table], long: int
) -> Rating:
    """Return how well a database is.

    Args:
        sessions: The app's.
        server: All of it.
        blocks: Those of tables.
        tables: The app's.
        long: How many seconds of a query are long.
    """
    issues = (
        *_waits(sessions),
        *_long(sessions, long),
        *_full(server),
        *_cold(blocks),
        *_bloated(tables),
    )
    score = max(0, BEST - sum(issue.points for issue in issues))
    word = next(word for least, word in WORDS if score >= least)
    return Rating(score=score, word=word, issues=issues)


def _waits(sessions: Sessions) -> Iterator[Issue]:
    points = next((points for least, points in WAITS if sessions.waits >= least), None)
    if points is not None:
        yield Issue(points=points, sentence=f"{_sessions(sessions.waits)} for a lock")


def _sessions(number: int) -> str:
    return "1 session waits" if number == 1 else f"{number} sessions wait"


def _long(sessions: Sessions, long: int) -> Iterator[Issue]:
    lasts = sessions.longest_query
    points = next((points for times, points in LONG if lasts >= times * long), None)
    if points is not None:
        yield Issue(points=points, sentence=f"a query has been running for {lasts:.0f} s")
    if sessions.longest_idle >= long:
        yield Issue(
            points=IDLE_POINTS,
            sentence=f"a transaction has been open for {sessions.longest_idle:.0f} s, and its session "
            "does nothing",
        )


def _full(server: Server) -> Iterator[Issue]:
    share = server.connections / server.max_connections
    points = next((points for least, points in CONNECTIONS if share >= least), None)
    if points is not None:
        yield Issue(
            points=points,
            sentence=f"{server.connections} of the server's {server.max_connections} connections are taken",
        )


def _cold(blocks: Blocks) -> Iterator[Issue]:
    ratio = blocks.ratio
    if ratio is None or blocks.hits + blocks.reads < BLOCKS_THAT_TELL:
        return
    points = next((points for below, points in CACHE if ratio < below), None)
    if points is not None:
        yield Issue(
            points=points, sentence=f"only {ratio} % of the tables' blocks were found in memory"
        )


def _bloated(tables: Iterable[Table]) -> Iterator[Issue]:
    left = DEAD_POINTS_MOST
    for table in tables:
        if table.dead >= DEAD and table.dead >= DEAD_SHARE * (table.live + table.dead):
            points = min(left, DEAD_POINTS)
            left -= points
            yield Issue(
                points=points,
                sentence=f"the table {table.name} has {table.dead} dead rows beside {table.live} live ones",
            )
