"""The lease on this host: who may change the app, proved by a fencing number that only grows.

A lease ends when it is given back, stolen, or not renewed in time; the number stays. What carries a
smaller number than the host has seen, or another nonce than the lease, is refused, so a controller
that was thought dead cannot act on what has moved on without it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent import names, running
from changeover.agent.failure import ActionError
from changeover.agent.system import clock, durable, filelock, recorded

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.places import Places

WAIT_SECONDS = 5
MOST_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease as it is recorded."""

    owner: str
    reason: str
    nonce: str
    number: int
    deployment: str
    seconds: float
    since: str
    heartbeat: clock.Moment

    def expired(self, moment: clock.Moment) -> bool:
        """Tell whether its last heartbeat is longer ago than it may be."""
        return clock.elapsed(self.heartbeat, moment) >= self.seconds

    def as_shown(self, moment: clock.Moment) -> dict[str, Any]:
        """Return the lease for others to see: everything but its nonce."""
        silent = clock.elapsed(self.heartbeat, moment)
        left = self.seconds - silent
        return {
            "owner": self.owner,
            "reason": self.reason,
            "number": self.number,
            "deployment": self.deployment,
            "since": self.since,
            "heartbeat": clock.stamp(self.heartbeat.wall),
            "silent": round(silent, 3),
            "expires": clock.stamp(moment.wall + left),
            "expired": left <= 0,
        }

    def as_recorded(self) -> bytes:
        """Return the lease as the content of its file."""
        beat = self.heartbeat
        record = {
            "owner": self.owner,
            "reason": self.reason,
            "nonce": self.nonce,
            "number": self.number,
            "deployment": self.deployment,
            "seconds": self.seconds,
            "since": self.since,
            "heartbeat": {"wall": beat.wall, "boot": beat.boot, "uptime": beat.uptime},
        }
        return json.dumps(record).encode()


def _path(places: Places) -> Path:
    return places.state / "lock.json"


def read(places: Places) -> Lease | None:
    """Return the recorded lease, expired or not."""
    try:
        record = json.loads(_path(places).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    heartbeat = recorded.made(clock.Moment, record["heartbeat"])
    return recorded.made(Lease, {**record, "heartbeat": heartbeat})


def highest(places: Places) -> int:
    """Return the highest fencing number this host has given out."""
    try:
        number = json.loads((places.state / "fence.json").read_bytes())["number"]
    except FileNotFoundError:
        return 0
    return int(number)


def check(call: Call) -> None:
    """Let only the present holder of the lease pass.

    An expired lease that nobody took since still passes: nothing has moved on without its holder.

    Raises:
        ActionError: ``fenced``; the request's proof is missing, older, or another's.
    """
    fence = call.fence or {}
    lease = read(call.places)
    newest = highest(call.places)
    shown = lease.as_shown(clock.now()) if lease else None
    if lease is None or not fence:
        why = "no lease is held on this host" if lease is None else "the request carries no fence"
        raise ActionError("fenced", f"refused: {why}", highest=newest, holder=shown)
    if fence.get("number") != newest or fence.get("nonce") != lease.nonce:
        raise ActionError(
            "fenced",
            f"refused: the lease {fence.get('number')} was overtaken by {newest} "
            f"of {lease.owner} ({lease.reason})",
            highest=newest,
            holder=shown,
        )


def _held(call: Call) -> AbstractContextManager[None]:
    stuck = functools.partial(running.end_hung, call)
    return filelock.held(call.places.state / "lease.lock", WAIT_SECONDS, stuck=stuck)


def lock(call: Call, given: Parameters) -> Result:
    """Take the lease; the same nonce takes it again under the same number."""
    return _take(call, given, by_force=False)


def steal(call: Call, given: Parameters) -> Result:
    """Take the lease whoever holds it; the holder's next action is refused."""
    return _take(call, given, by_force=True)


def _take(call: Call, given: Parameters, *, by_force: bool) -> Result:
    given.only("owner", "reason", "ttl_seconds", "nonce", "at_least")
    nonce = given.name("nonce", names.NONCE)
    owner, reason = given.text("owner"), given.text("reason")
    seconds = given.number("ttl_seconds", least=1, most=MOST_SECONDS)
    floor = int(given.number("at_least", 0, most=2**53))
    places, moment = call.places, clock.now()
    with _held(call):
        present = read(places)
        if present and present.nonce == nonce:
            number, since = present.number, present.since
        elif present and not present.expired(moment) and not by_force:
            raise ActionError(
                "lock-held",
                f"{present.owner} holds the lease: {present.reason}",
                holder=present.as_shown(moment),
            )
        else:
            number, since = max(highest(places) + 1, floor), clock.stamp(moment.wall)
            durable.write(places.state / "fence.json", json.dumps({"number": number}).encode())
        lease = Lease(owner, reason, nonce, number, call.deployment, seconds, since, moment)
        durable.write(_path(places), lease.as_recorded())
    taken_from = present.as_shown(moment) if present and present.nonce != nonce else None
    return {"number": number, "expires": lease.as_shown(moment)["expires"], "from": taken_from}


def renew(call: Call, given: Parameters) -> Result:
    """Beat once: the lease lives for its time again from now on."""
    given.only("ttl_seconds")
    seconds = given.number("ttl_seconds", least=1, most=MOST_SECONDS)
    places, moment = call.places, clock.now()
    with _held(call):
        check(call)
        present = read(places)
        if present is None:
            raise ActionError("fenced", "refused: no lease is held on this host")
        lease = Lease(
            present.owner,
            present.reason,
            present.nonce,
            present.number,
            present.deployment,
            seconds,
            present.since,
            moment,
        )
        durable.write(_path(places), lease.as_recorded())
    return {"number": lease.number, "expires": lease.as_shown(moment)["expires"]}


def unlock(call: Call, given: Parameters) -> Result:
    """Give the lease back; only its holder can."""
    given.only()
    places = call.places
    with _held(call):
        if read(places) is None:
            return {"unlocked": False, "skipped": True}
        check(call)
        durable.remove(_path(places))
    return {"unlocked": True}
