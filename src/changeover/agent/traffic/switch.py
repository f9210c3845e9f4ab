"""Send users to a colour, tell the host that it stays, send them back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from changeover.agent import names
from changeover.agent.colour import manifest, processes, units
from changeover.agent.failure import ActionError
from changeover.agent.system import clock
from changeover.agent.traffic import boot, contracted, deadman, live, move, share
from changeover.agent.traffic.live import Pending, Reverting
from changeover.agent.traffic.move import Moved

if TYPE_CHECKING:
    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.traffic.live import Record

LOOK_SECONDS = 5
BACK_UP_SECONDS = 60
LONGEST_CLOSING = 120


def switch(call: Call, given: Parameters) -> Result:
    """Send users to a colour by one rename, with a dead-man that takes it back unless confirmed."""
    given.only("colour", "deadman_seconds", "closing_seconds")
    colour = given.colour()
    deadman_seconds = given.number("deadman_seconds", 120, most=86400)
    closing = given.number("closing_seconds", move.CLOSING_SECONDS, most=LONGEST_CLOSING)
    record, present = live.settled(call), live.colour(call.places)
    _refuse_unfinished(call, record, colour)
    if record.pending is None and present == colour:
        share.end(call)
        return _answer(present, colour, None, skipped=True)
    origin = record.pending.origin if record.pending else present
    processes.wait_until_well(call, colour, LOOK_SECONDS)
    planned = move.look(call, origin, colour, closing_seconds=closing, site_first=False)
    pending = Pending(
        deployment=call.deployment,
        origin=origin,
        target=colour,
        boot=clock.now().boot,
        at=clock.stamp(),
        deadman=deadman.unit(call.app.name, call.deployment) if deadman_seconds else None,
    )
    if boot.confirmed(call.places) is None:
        boot.bring_back(call, origin)
    live.save(call.places, dataclasses.replace(record, pending=pending))
    try:
        if deadman_seconds:
            deadman.arm(call, deadman_seconds + (closing if planned.site.reload else 0))
        moved = move.make(call, planned)
    except ActionError:
        share.end(call)
        _undo(call, record, pending, closing)
        raise
    share.end(call)
    return _answer(origin, colour, moved, deadman=pending.deadman)


def _answer(origin: str | None, target: str | None, moved: Moved | None, **more: object) -> Result:
    took = dataclasses.asdict(moved) if moved else {}
    nothing = dataclasses.asdict(Moved(switch_us=0, reloaded=False, site_changed=False))
    return {"from": origin, "to": target, **nothing, **took, **more}


def _refuse_unfinished(call: Call, record: Record, colour: str) -> None:
    if record.reverting:
        raise ActionError(
            "revert-unfinished",
            f"a revert to {record.reverting.target} was interrupted: run it again first",
        )
    pending = record.pending
    if pending and (pending.deployment, pending.target) != (call.deployment, colour):
        raise ActionError(
            "switch-unconfirmed",
            f"{pending.deployment} switched to {pending.target} and has not confirmed it",
            pending=dataclasses.asdict(pending),
        )


def _undo(call: Call, record: Record, pending: Pending, closing: float) -> None:
    back = move.look(call, pending.target, pending.origin, closing_seconds=closing, site_first=True)
    try:
        move.make(call, back, going_back=True)
    except ActionError:
        move.rename(call, pending.origin)
    live.save(call.places, dataclasses.replace(record, pending=None))
    deadman.disarm(call, pending.deployment)


def confirm(call: Call, given: Parameters) -> Result:
    """Keep the colour: from now on a boot brings it back, and no dead-man takes it away.

    Raises:
        ActionError: ``deadman-fired`` when it was taken back already; ``not-live``.
    """
    given.only("colour")
    colour = given.colour()
    record, present = live.settled(call), live.colour(call.places)
    _refuse_unfinished(call, record, colour)
    if present != colour:
        raise _gone(call, record, colour, present)
    kept = record.pending is None and boot.confirmed(call.places) == colour
    boot.bring_back(call, colour)
    if record.pending:
        live.save(call.places, live.confirmed(record, record.pending))
    deadman.disarm(call, call.deployment)
    previous = live.read(call.places).before(colour, units.colours(call.places))
    return {"confirmed": colour, "previous": previous, "skipped": kept}


def _gone(call: Call, record: Record, colour: str, present: str | None) -> ActionError:
    ended = record.ended
    if ended and ended.deployment == call.deployment and ended.outcome in {"deadman", "rebooted"}:
        why = (
            "the dead-man has taken the switch back"
            if ended.outcome == "deadman"
            else "a reboot has taken the switch back"
        )
        return ActionError(
            f"{ended.outcome}-fired" if ended.outcome == "deadman" else "rebooted",
            f"{why} at {ended.at}: {present or 'nothing'} is live",
            live=present,
        )
    return ActionError(
        "not-live", f"{colour} cannot be confirmed: {present or 'nothing'} is live", live=present
    )


def revert(call: Call, given: Parameters) -> Result:
    """Send users back: to the colour that is named, or to what was live before.

    With ``of`` it takes back that deployment's switch and is skipped where there is none. Users
    stay where they are until the colour they go to is well.

    Raises:
        ActionError: ``nothing-before``, ``not-placed``, ``unhealthy``, ``unit-failed``,
            ``nginx-invalid``, ``nginx-failed``; users are where they were.
    """
    given.only("to", "of", "closing_seconds", "timeout_seconds")
    closing = given.number("closing_seconds", move.CLOSING_SECONDS, most=LONGEST_CLOSING)
    seconds = given.number("timeout_seconds", BACK_UP_SECONDS, least=1, most=3600)
    share.end(call)
    record, present = live.settled(call), live.colour(call.places)
    if given.has("of") and not _switched_by(record, given.name("of", names.DEPLOYMENT)):
        return _answer(present, present, None, skipped=True)
    target = given.colour("to") if given.has("to") else _target(call, record, present)
    if _ended_there(call, record, present, target):
        return _answer(present, target, None, skipped=True)
    moved = go_back(call, record, target, closing, seconds, outcome="reverted")
    return _answer(present, target, moved)


def _switched_by(record: Record, deployment: str) -> bool:
    if record.pending:
        return record.pending.deployment == deployment
    ended = record.ended
    if ended is None or ended.deployment != deployment:
        return bool(record.reverting and record.reverting.deployment == deployment)
    return ended.outcome == "confirmed"


def _target(call: Call, record: Record, present: str | None) -> str | None:
    if record.reverting and record.reverting.deployment == call.deployment:
        return record.reverting.target
    ended = record.ended
    if ended and ended.deployment == call.deployment and ended.outcome == "reverted":
        return ended.target
    if record.pending:
        return record.pending.origin
    before = record.before(present, units.colours(call.places))
    if before is None:
        raise ActionError("nothing-before", "no colour that was live before is on this host")
    return before


def _ended_there(call: Call, record: Record, present: str | None, target: str | None) -> bool:
    if record.pending or record.reverting or call.places.stale_site.exists():
        return False
    return present == target == boot.confirmed(call.places)


def go_back(
    call: Call,
    record: Record,
    target: str | None,
    closing: float,
    seconds: float,
    *,
    outcome: str,
) -> Moved:
    """Move users back to a colour, started first where it does not run, and keep it for a boot."""
    present = live.colour(call.places)
    if target is not None:
        manifest.read(call.places.release(target))
        processes.bring_up(call, target, seconds)
        processes.wait_until_well(call, target, seconds)
    planned = move.look(call, present, target, closing_seconds=closing, site_first=True)
    reverting = Reverting(
        deployment=call.deployment,
        origin=record.pending.target if record.pending else present,
        target=target,
        boot=clock.now().boot,
    )
    live.save(call.places, dataclasses.replace(record, reverting=reverting))
    try:
        moved = move.make(call, planned, going_back=True)
    except ActionError:
        move.rename(call, present)
        live.save(call.places, dataclasses.replace(record, reverting=None))
        raise
    boot.bring_back(call, target)
    live.save(call.places, live.reverted(record, reverting, outcome))
    contracted.went_back(call.places, target)
    if record.pending and record.pending.deadman:
        deadman.disarm(call, record.pending.deployment, fired=outcome == "deadman")
    return moved


def awaited(call: Call) -> bool:
    """Tell whether this deployment's switch is still without a confirmation."""
    pending = live.seen(call.places).pending
    return pending is not None and pending.deployment == call.deployment


def take_back(call: Call) -> Result:
    """Do what the dead-man is for: take back this deployment's switch if nobody confirmed it."""
    share.end(call)
    record = live.settled(call)
    pending = record.pending
    if pending is None or pending.deployment != call.deployment:
        deadman.forget(call, call.deployment)
        return {"taken_back": False, "skipped": True}
    moved = go_back(
        call, record, pending.origin, move.CLOSING_SECONDS, BACK_UP_SECONDS, outcome="deadman"
    )
    return {"taken_back": True, **_answer(pending.target, pending.origin, moved)}
