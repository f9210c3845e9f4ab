"""Move users from one colour to another: one rename of the link, and the site where it differs.

Switch, revert and dead-man all come through here. Each part may be repeated after a crash: it looks
at what is there and does what is missing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent.colour import open_websockets
from changeover.agent.system import durable
from changeover.agent.traffic import live, nginx, site

if TYPE_CHECKING:
    from changeover.agent.call import Call

# Longer than provision lets Nginx keep an idle connection: each has closed or been used by then.
CLOSING_SECONDS = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move that was looked at and can be made."""

    target: str | None
    closing_seconds: float
    site: site.Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a move took.

    Args:
        left_open: The connections from before that a reload found, WebSockets among them.
        websockets: The WebSockets that were open to the colour that users left, right after it.
    """

    switch_us: int
    reloaded: bool
    site_changed: bool
    left_open: int = 0
    websockets: int = 0


def look(
    call: Call,
    origin: str | None,
    target: str | None,
    *,
    closing_seconds: float,
    site_first: bool,
) -> Move:
    """Work out a move and check all that can be checked before it.

    Raises:
        ActionError: ``no-lossless-order`` or ``nginx-invalid``; nothing has been changed.
    """
    change = site.change(call, origin, target, first=site_first)
    site.check(call, change)
    return Move(target=target, closing_seconds=closing_seconds, site=change)


def make(call: Call, move: Move, *, going_back: bool = False) -> Moved:
    """Make the move; one that goes back does not need an Nginx that runs.

    Raises:
        ActionError: ``nginx-failed`` or ``nginx-unreloaded``; the link may have been renamed, the
            site has not.
    """
    origin = live.colour(call.places)
    if not move.site.reload:
        site.install(call, move.site)
        took = rename(call, move.target)
        lasting = _lasting(call, origin, move.target)
        return Moved(
            switch_us=took, reloaded=False, site_changed=move.site.repoint, websockets=lasting
        )
    # Where the colour goes first, users are on it at once and only the reload waits.
    took = 0 if move.site.first else rename(call, move.target)
    lasting = _lasting(call, origin, move.target)
    with nginx.closing(call, move.closing_seconds) as left_open:
        site.install(call, move.site, going_back=going_back)
        if move.site.first:
            took = rename(call, move.target)
            lasting = _lasting(call, origin, move.target)
    return Moved(
        switch_us=took,
        reloaded=True,
        site_changed=True,
        left_open=left_open,
        websockets=lasting,
    )


def _lasting(call: Call, origin: str | None, target: str | None) -> int:
    """Return how many WebSockets stay on the colour that users have left."""
    return open_websockets.open_to(call, origin) if origin and origin != target else 0


def rename(call: Call, target: str | None) -> int:
    """Point the link at a colour, or take it away; return how long that took in microseconds."""
    places = call.places
    if target is None:
        durable.remove(places.current)
        return 0
    if live.colour(places) == target:
        return 0
    began = time.monotonic_ns()
    durable.link(places.current, target)
    return (time.monotonic_ns() - began) // 1000
