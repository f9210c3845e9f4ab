"""Which colour is live, which ones were before it, and a switch that nobody has confirmed yet.

The link ``current`` is the truth about now and the boot file about what is confirmed; this record
adds what neither can say: where a switch or a revert that is under way came from.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.system import clock, durable, recorded
from changeover.agent.traffic import boot, deadman

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.call import Call
    from changeover.agent.places import Places

LONGEST_HISTORY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A switch that is not confirmed yet."""

    deployment: str
    origin: str | None
    target: str
    boot: str
    at: str
    deadman: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverting:
    """A revert that is under way."""

    deployment: str
    origin: str | None
    target: str | None
    boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the last switch or revert ended: confirmed, reverted, deadman, rebooted."""

    deployment: str
    origin: str | None
    target: str | None
    outcome: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is recorded of an app's colours.

    Args:
        history: The colours that were live before, oldest first; each at most once.
    """

    pending: Pending | None = None
    reverting: Reverting | None = None
    history: tuple[str, ...] = ()
    ended: Ended | None = None

    def before(self, colour: str | None, placed: list[str]) -> str | None:
        """Return the colour that was live before, among those still on this host."""
        if self.pending:
            return self.pending.origin
        earlier = [name for name in self.history if name in placed and name != colour]
        return earlier[-1] if earlier else None


def colour(places: Places) -> str | None:
    """Return the live colour."""
    said = durable.read_link(places.current)
    return said if said is not None and names.COLOUR.fullmatch(said) else None


def _path(places: Places) -> Path:
    return places.state / "live.json"


def read(places: Places) -> Record:
    """Return the record as it was last written."""
    try:
        raw: dict[str, Any] = json.loads(_path(places).read_bytes())
    except FileNotFoundError:
        return Record()
    return Record(
        pending=recorded.made(Pending, raw["pending"]) if raw["pending"] else None,
        reverting=recorded.made(Reverting, raw["reverting"]) if raw["reverting"] else None,
        history=tuple(raw["history"]),
        ended=recorded.made(Ended, raw["ended"]) if raw["ended"] else None,
    )


def save(places: Places, record: Record) -> Record:
    """Write the record durably."""
    durable.ensure_directory(places.state, 0o700)
    durable.write(_path(places), json.dumps(dataclasses.asdict(record)).encode())
    return record


def settled(call: Call) -> Record:
    """Return the record, brought in line with a reboot, and write it down where that changed it."""
    record = read(call.places)
    now = seen(call.places)
    if record.pending and not now.pending:
        # Its timer went with the boot that it was armed in.
        deadman.forget(call, record.pending.deployment)
    return record if now == record else save(call.places, now)


def seen(places: Places) -> Record:
    """Return the record, brought in line with a reboot that decided what was under way.

    A boot links the confirmed colour, so it has confirmed or undone whatever had not ended.
    """
    record, moment, kept = read(places), clock.now(), boot.confirmed(places)
    # Not the moment of the look: every later one would find that it ended just now.
    booted = clock.stamp(moment.wall - moment.uptime)
    if record.reverting and record.reverting.boot != moment.boot:
        under_way = record.reverting
        record = dataclasses.replace(record, reverting=None)
        if kept == under_way.target:
            record = reverted(record, under_way, "reverted", at=booted)
    if record.pending and record.pending.boot != moment.boot:
        switch = record.pending
        if kept == switch.target:
            record = confirmed(record, switch, at=booted)
        else:
            record = reverted(record, _back(switch, moment.boot), "rebooted", at=booted)
    return record


def _back(switch: Pending, this_boot: str) -> Reverting:
    return Reverting(
        deployment=switch.deployment, origin=switch.target, target=switch.origin, boot=this_boot
    )


def confirmed(record: Record, switch: Pending, *, at: str | None = None) -> Record:
    """Return the record after a switch was confirmed, now unless another moment is given."""
    history = [name for name in record.history if name not in {switch.target, switch.origin}]
    if switch.origin is not None:
        history.append(switch.origin)
    return Record(
        history=tuple(history[-LONGEST_HISTORY:]),
        ended=Ended(
            deployment=switch.deployment,
            origin=switch.origin,
            target=switch.target,
            outcome="confirmed",
            at=at or clock.stamp(),
        ),
    )


def _goes_forward(revert: Reverting) -> bool:
    if revert.origin is None or revert.target is None or revert.origin == revert.target:
        return False
    return names.order(revert.target) >= names.order(revert.origin)


def reverted(record: Record, revert: Reverting, outcome: str, *, at: str | None = None) -> Record:
    """Return the record after a revert: what was live after its target is history no more.

    One that goes forward, to a later version than the one it leaves, leaves that as the way back.
    """
    history = list(record.history)
    if revert.target in history:
        history = history[: history.index(revert.target)]
    elif record.pending is None and _goes_forward(revert):
        history.append(str(revert.origin))
    return Record(
        history=tuple(history[-LONGEST_HISTORY:]),
        ended=Ended(
            deployment=revert.deployment,
            origin=revert.origin,
            target=revert.target,
            outcome=outcome,
            at=at or clock.stamp(),
        ),
    )
