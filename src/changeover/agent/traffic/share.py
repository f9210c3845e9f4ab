"""A share of the clients on a new colour, ahead of the switch; a few seconds without word end it.

Each client is in one of a hundred buckets, which its cookie says. At each request Nginx looks
whether the bucket is a file below the link ``canary``, and goes to the colour of the link ``next``
instead of ``current`` then. So a share begins and grows by one rename of ``canary``, without a
reload, and ends by one rename of ``next``, which then leads to ``current``: a request that was on
its way is answered by the colour that serves. All of it is below /run: a boot knows no share.

The controller has to renew a share. A unit of its own waits on the host for the time to run out.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent import alive, beat, names, running
from changeover.agent.failure import ActionError
from changeover.agent.system import clock, durable, filelock, recorded
from changeover.agent.traffic import canary_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from changeover.agent.call import Call
    from changeover.agent.places import Places
    from changeover.agent.traffic.canary_log import Place

ENTRY = "canary"
BUCKETS = 100
LOCK_SECONDS = 30
RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share that is under way.

    Args:
        percent: How many of a hundred buckets it is.
        at: Since when.
        seconds: How long it lives from a renewal on.
        until: The uptime at which it ends unless it is renewed.
    """

    deployment: str
    colour: str
    percent: int
    at: str
    seconds: float
    until: float


def read(places: Places) -> Share | None:
    """Return the share that is under way, if there is one."""
    try:
        return recorded.made(Share, json.loads(_record(places).read_bytes()))
    except FileNotFoundError:
        return None


def shown(places: Places) -> dict[str, Any] | None:
    """Return the share that is under way for others to see."""
    share = read(places)
    if share is None:
        return None
    told = {key: getattr(share, key) for key in ("deployment", "colour", "percent", "at")}
    return {**told, "seconds_left": round(max(share.until - clock.now().uptime, 0.0), 1)}


def made(call: Call, colour: str, percent: int, seconds: float) -> Share:
    """Return a share of this deployment's that begins now."""
    moment = clock.now()
    return Share(
        deployment=call.deployment,
        colour=colour,
        percent=percent,
        at=clock.stamp(moment.wall),
        seconds=seconds,
        until=moment.uptime + seconds,
    )


def set_(call: Call, share: Share) -> Place:
    """Set a share: first what ends it, last the rename that moves clients.

    Raises:
        ActionError: ``canary-unwatched``; there is nothing that would end it.
    """
    places = call.places
    with _held(call):
        before = read(places)
        _save(places, share)
        _watch(call, going_on=before is not None and before.deployment == share.deployment)
        durable.link(places.next, share.colour)
        buckets = _buckets(places, share)
        place = canary_log.end(places.canary_log)
        durable.link(places.canary, str(buckets.relative_to(places.runtime)))
    return place


def _buckets(places: Places, share: Share) -> Path:
    """Return a directory with a file a bucket; each share holds the smaller ones.

    The first bucket differs by colour: it is not the same clients whom every release meets first.
    """
    first = int(share.colour[-8:], 16) % BUCKETS
    directory = places.shares / f"{first:02d}-{share.percent}"
    if directory.is_dir():
        return directory
    making = places.shares / ".new"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for number in range(share.percent):
        (making / f"{(first + number) % BUCKETS:02d}").touch()
    making.rename(directory)
    return directory


def renew(call: Call, colour: str) -> None:
    """Let this deployment's share of a colour live for its time again from now on.

    Raises:
        ActionError: ``canary-over``; there is no such share, so users are on the live colour.
    """
    with _held(call):
        share = read(call.places)
        if share is None or (share.deployment, share.colour) != (call.deployment, colour):
            raise ActionError(
                "canary-over",
                f"no client is on {colour} any more: the share was not renewed in time, "
                "or this host was booted",
            )
        until = clock.now().uptime + share.seconds
        _save(call.places, dataclasses.replace(share, until=until))


def end(call: Call) -> bool:
    """Send every client to the live colour by one rename, and forget the share; tell if there was one."""
    places = call.places
    if not (places.canary.is_symlink() or _record(places).exists()):
        return False
    with _held(call):
        share = read(places)
        _take_away(places)
    if share:
        unit = f"{_unit(call, share.deployment)}.service"
        call.host.programs.run("systemctl", "stop", unit)
    return True


def _take_away(places: Places) -> None:
    # A request that is on its way to the new colour goes through this link, too.
    durable.link(places.next, places.current.name)
    durable.remove(places.canary)
    shutil.rmtree(places.shares, ignore_errors=True)
    durable.remove(_record(places))


def watch(call: Call, pause: Callable[[float], None] = time.sleep) -> bool:
    """Wait for this deployment's share to run out, and end it then; tell whether it did."""
    while (share := read(call.places)) and share.deployment == call.deployment:
        left = share.until - clock.now().uptime
        alive.tell()
        if left > 0:
            pause(min(left, beat.RHYTHM_SECONDS))
        elif _run_out(call):
            return True
    return False


def _run_out(call: Call) -> bool:
    with _held(call):
        share = read(call.places)
        if share is None or share.until > clock.now().uptime:
            return False
        _take_away(call.places)
    return True


def _watch(call: Call, *, going_on: bool) -> None:
    """Have a unit wait for the share to run out.

    One that is active still may be at its end, where the share before has run out just now.
    """
    unit, run = _unit(call, call.deployment), call.host.programs.run
    if going_on and run("systemctl", "is-active", "--quiet", f"{unit}.service").code == 0:
        return
    run("systemctl", "stop", f"{unit}.service")
    call.host.programs.must(
        "canary-unwatched",
        "systemd-run",
        f"--unit={unit}",
        *(f"--property={each}" for each in alive.PROPERTIES),
        f"--property=RestartSec={RETRY_SECONDS}",
        "--description=End a share of clients that nobody renews",
        "--collect",
        "--quiet",
        "--",
        call.host.agent,
        ENTRY,
        call.app.name,
        call.deployment,
    )


def _unit(call: Call, deployment: str) -> str:
    return f"changeover-canary-{call.app.name}-{names.checked('deployment', names.DEPLOYMENT, deployment)}"


def _held(call: Call) -> Any:  # noqa: ANN401 - a context manager
    directory = call.places.secrets
    durable.ensure_directory(directory, 0o700)
    stuck = functools.partial(running.end_hung, call)
    path = directory / "canary.lock"
    return filelock.held(path, LOCK_SECONDS, "a share", call.progress, stuck=stuck)


def _record(places: Places) -> Path:
    return places.secrets / "canary.json"


def _save(places: Places, share: Share) -> None:
    durable.write(_record(places), json.dumps(dataclasses.asdict(share)).encode())
