"""Send a share of the clients to a colour on app hosts, count what they are answered, end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.remote.fleet import Answers, Event, Fleet, action, on_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.inventory import Host
    from changeover.steps import Canary

# A host ends a share by itself that was not renewed for so long; it is renewed at every look.
RENEWED_SECONDS = 30


def begin(fleet: Fleet, hosts: Sequence[Host], step: Canary) -> Answers:
    """Have every host send the share to the colour, from one rename on."""
    request = action("canary", colour=step.colour, percent=step.percent, seconds=RENEWED_SECONDS)
    return on_each(fleet, hosts, lambda _: [request])


def look(fleet: Fleet, hosts: Sequence[Host], step: Canary, places: Mapping[str, Event]) -> Answers:
    """Renew the share on every host, and have it count from a place in its log, by host."""
    return on_each(
        fleet,
        hosts,
        lambda host: [action("canary_look", colour=step.colour, place=places[host.name])],
    )


def end(fleet: Fleet, hosts: Sequence[Host]) -> Answers:
    """Have every host send all clients to its live colour."""
    return on_each(fleet, hosts, lambda _: [action("canary_end")])
