"""When users were moved, from what controllers told while they did it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from changeover.load.judgement import Move

if TYPE_CHECKING:
    from collections.abc import Iterable

Event = dict[str, Any]
MOVING = {"switch", "revert"}


def moves_of(
    events: Iterable[Event], *, before: str, ended: float, ahead: float = 0.0
) -> list[Move]:
    """Return every move of users that the events of one run after another tell of.

    A move that was cut off, or was red, may have happened on any host at any moment until the next
    one is done: until then either release may answer.

    Args:
        events: The events of all runs, in their order.
        before: The release that served before the first of them.
        ended: When nothing moved any more, in seconds since 1970.
        ahead: How many seconds the clock of those who told is ahead.
    """
    moves: list[tuple[float, float | None, str]] = []
    run: Event = {}
    for event in events:
        kind, step = event.get("type"), str(event.get("step", ""))
        if kind == "deployment-begin":
            run = event
        elif kind == "step-intent" and event.get("kind") in MOVING:
            moves.append((_seconds(event) - ahead, None, _target(run, str(event["kind"]), before)))
        elif kind == "step-done" and step in MOVING and moves and moves[-1][1] is None:
            moves[-1] = (moves[-1][0], _seconds(event) - ahead, moves[-1][2])
    return _settled(moves, ended)


def _target(run: Event, kind: str, before: str) -> str:
    """Return where a move goes: a deployment that sends users back goes to what it began from."""
    if kind == "revert" and run.get("command") == "deploy":
        origin = run.get("before")
        return str(origin) if origin and origin != run.get("after") else before
    return str(run.get("after"))


def _settled(moves: list[tuple[float, float | None, str]], ended: float) -> list[Move]:
    settled: list[Move] = []
    until = ended
    for begun, done, after in reversed(moves):
        until = done if done is not None else until
        settled.append(Move(begun=begun, done=until, after=after))
    return settled[::-1]


def _seconds(event: Event) -> float:
    return dt.datetime.fromisoformat(str(event["at"])).timestamp()
