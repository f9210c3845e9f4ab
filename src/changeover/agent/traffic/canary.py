"""Send a share of the clients to a new colour, count what they were answered, send them back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from changeover.agent.colour import processes
from changeover.agent.failure import ActionError
from changeover.agent.traffic import canary_log, live, share, site
from changeover.agent.traffic.canary_log import Place

if TYPE_CHECKING:
    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters

LOOK_SECONDS = 5
LONGEST_SECONDS = 3600


def begin(call: Call, given: Parameters) -> Result:
    """Send a share of the clients to a colour, or a larger one than before; tell from where to count.

    Where users are on the colour already, there is nothing to share.

    Raises:
        ActionError: ``nothing-live``, ``no-canary-hook``, ``canary-unfit``, ``unhealthy``,
            ``canary-unwatched``, or another deployment's switch is unfinished; no client was moved.
    """
    given.only("colour", "percent", "seconds")
    colour, places = given.colour(), call.places
    percent = int(given.number("percent", least=1, most=share.BUCKETS))
    seconds = given.number("seconds", least=1, most=LONGEST_SECONDS)
    record, present = live.settled(call), live.colour(places)
    if present == colour:
        share.end(call)
        return {"colour": colour, "percent": 0, "live": True, "place": None, "skipped": True}
    if present is None:
        raise ActionError("nothing-live", "nothing is live that a share could be taken from")
    if record.pending or record.reverting:
        raise ActionError("switch-unfinished", "a switch or a revert is unfinished on this host")
    site.refuse_unshared(call, colour)
    processes.wait_until_well(call, colour, LOOK_SECONDS)
    before = share.read(places)
    if before and (before.deployment, before.colour) != (call.deployment, colour):
        share.end(call)
    place = share.set_(call, share.made(call, colour, percent, seconds))
    return {"colour": colour, "percent": percent, "live": False, "place": dataclasses.asdict(place)}


def look(call: Call, given: Parameters) -> Result:
    """Renew this deployment's share, and count what was answered since a place in the log.

    Raises:
        ActionError: ``canary-over`` or ``log-lost``.
    """
    given.only("colour", "place")
    colour, place = given.colour(), given.mapping("place")
    share.renew(call, colour)
    since = Place(inode=int(place["inode"]), offset=int(place["offset"]))
    counted, reached = canary_log.read(call.places.canary_log, since)
    return {**counted, "place": dataclasses.asdict(reached)}


def give_up(call: Call, given: Parameters) -> Result:
    """End whatever share is under way: every client is on the live colour."""
    given.only()
    ended = share.end(call)
    return {"ended": ended, "skipped": not ended}
