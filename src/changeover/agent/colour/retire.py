"""Remove colours that nobody needs any more: code, environment, units, sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent import names
from changeover.agent.colour import incoming, manifest, place, units
from changeover.agent.failure import ActionError
from changeover.agent.system import durable
from changeover.agent.traffic import boot, live

if TYPE_CHECKING:
    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters

STOP_SECONDS = 30


def retire(call: Call, given: Parameters) -> Result:
    """Remove one colour. ``force`` also removes the way back; nothing removes what serves users.

    Raises:
        ActionError: ``colour-live`` or ``colour-awaited``.
    """
    given.only("colour", "force")
    colour = given.colour()
    record, present = live.settled(call), live.colour(call.places)
    if record.pending and colour in {record.pending.origin, record.pending.target}:
        raise ActionError("colour-awaited", f"{colour} is part of an unconfirmed switch")
    if colour in {present, boot.confirmed(call.places)}:
        raise ActionError("colour-live", f"{colour} serves users: it is not removed")
    previous = record.before(present, units.colours(call.places))
    if colour == previous and not given.flag("force"):
        raise ActionError("colour-awaited", f"{colour} is the way back: it is kept unless forced")
    removed = _remove(call, colour)
    return {"retired": removed, "skipped": not removed}


def prune(call: Call, given: Parameters) -> Result:
    """Remove every colour but those to keep, the live one, the confirmed one and the way back."""
    given.only("keep")
    keep = {names.checked("colour", names.COLOUR, colour) for colour in given.sequence("keep")}
    record, present = live.settled(call), live.colour(call.places)
    placed = units.colours(call.places)
    needed = {present, boot.confirmed(call.places), record.before(present, placed)}
    if record.pending:
        needed |= {record.pending.origin, record.pending.target}
    doomed = [colour for colour in placed if colour not in keep and colour not in needed]
    for colour in doomed:
        _remove(call, colour)
    return {"retired": doomed, "skipped": not doomed}


def withdraw(call: Call, given: Parameters) -> Result:
    """Take away what a deployment that is taken back has put here, whole or not.

    ``of`` is the deployment; without it only halves and uploads go. What users are sent to, what a
    boot brings back and what was live before stays, whoever placed it.
    """
    given.only("of")
    deployment = given.name("of", names.DEPLOYMENT) if given.has("of") else None
    record, places = live.settled(call), call.places
    served = {live.colour(places), boot.confirmed(places)}
    if record.pending:
        served |= {record.pending.origin, record.pending.target}
    needed = served | set(record.history)
    placed = units.colours(places) if deployment else []
    doomed = [
        colour
        for colour in placed
        if colour not in needed and place.placed(call, colour).get("deployment") == deployment
    ]
    halves = [colour for colour in place.halves(call) if colour not in served]
    for colour in (*doomed, *halves):
        _remove(call, colour)
    place.clear_leftovers(call)
    uploads = incoming.clear(call.host, call.app.name)
    return {"retired": doomed, "uploads": len(uploads), "skipped": not (doomed or uploads)}


def _remove(call: Call, colour: str) -> bool:
    places = call.places
    try:
        release = manifest.read(places.release(colour))
    except ActionError:
        release = None
    if release:
        units.stop(call.host, units.names_of(places, release, colour), STOP_SECONDS, call.give_way)
    removed = units.remove(call, colour)
    removed = durable.remove(places.environment(colour)) or removed
    durable.remove_tree(places.runtime / colour)
    removed = durable.remove_tree(places.release(colour)) or removed
    if removed:
        units.reload(call.host)
    return removed
