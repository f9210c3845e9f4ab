"""Keep users from app hosts, at the balancer, until somebody has proved that they may come back.

The record is the truth: it outlives HAProxy, and tells which hosts are behind and since when. HAProxy
is told at its admin socket, and reads the same at its next start. It is told last, and again by every
later call: one that was killed in between leaves a host recorded that users still get to.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.failure import ActionError
from changeover.agent.system import clock, durable
from changeover.agent.traffic import haproxy

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.places import Places

Fenced = dict[str, dict[str, Any]]
PAUSE_SECONDS = 0.2
PROGRESS_SECONDS = 5.0
LONGEST_SECONDS = 600


def _path(places: Places) -> Path:
    return places.state / "fenced.json"


def read(places: Places) -> Fenced:
    """Return the fenced hosts of an app: since when, why, and which deployment left them out."""
    try:
        found: Fenced = json.loads(_path(places).read_bytes())
    except FileNotFoundError:
        return {}
    return found


def fence(call: Call, given: Parameters) -> Result:
    """Send no user to these hosts any more; let what is under way there end, then cut it.

    Raises:
        ActionError: ``balancer-unknown-host``, ``balancer-silent``, ``balancer-refused``.
    """
    given.only("servers", "why", "drain_seconds")
    hosts, why = _hosts(given), given.text("why")
    seconds = given.number("drain_seconds", 0, most=LONGEST_SECONDS)
    root, record = call.host.root, read(call.places)
    found = haproxy.of_hosts(root, hosts)
    fresh = {"since": clock.stamp(), "why": why, "deployment": call.deployment}
    known = {host: record.get(host, fresh) for host in hosts}
    _save(call, {**record, **known})
    already = all(each.fenced for each in found) and hosts <= record.keys()
    _hold(call, _everywhere(call))
    haproxy.keep(root, _everywhere(call))
    cut = _let_end(call, found, seconds)
    return {"fenced": sorted(hosts), "cut": cut, "skipped": already}


def unfence(call: Call, given: Parameters) -> Result:
    """Send users to these hosts again, once HAProxy's own check has found them well.

    One that is fenced for another app of this balancer as well is ``kept`` out of use.

    Raises:
        ActionError: ``balancer-unwell``; they are fenced as before.
    """
    given.only("servers", "timeout_seconds")
    hosts = _hosts(given)
    seconds = given.number("timeout_seconds", 30, least=1, most=LONGEST_SECONDS)
    root, record = call.host.root, read(call.places)
    mine = {host for host in hosts if host in record}
    free = mine - _everywhere(call, but=True)
    _hold(call, _everywhere(call) - free)
    found = haproxy.of_hosts(root, free)
    for each in found:
        haproxy.tell(root, f"set server {each.path} state ready")
    try:
        _wait_until_well(call, free, seconds)
    except ActionError:
        for each in found:
            haproxy.tell(root, f"set server {each.path} state maint")
        raise
    if mine:
        haproxy.keep(root, _everywhere(call) - free)
        _save(call, {host: entry for host, entry in record.items() if host not in mine})
    return {"unfenced": sorted(mine), "kept": sorted(mine - free), "skipped": not mine}


def _hosts(given: Parameters) -> set[str]:
    return {names.checked("host", names.HOST, host) for host in given.sequence("servers")}


def _save(call: Call, record: Fenced) -> None:
    durable.ensure_directory(call.places.state, 0o700)
    durable.write(_path(call.places), json.dumps(record).encode())


def _everywhere(call: Call, *, but: bool = False) -> set[str]:
    """Return the hosts that are fenced for any app here: HAProxy does not tell apps apart.

    Args:
        call: The action's surroundings.
        but: Leave out what is fenced for this app alone.
    """
    apps = [name for name in call.host.apps if not (but and name == call.app.name)]
    return {host for name in apps for host in read(call.host.places(name))}


def _hold(call: Call, hosts: set[str]) -> None:
    """Have HAProxy send nobody to these hosts, where it does not know of that."""
    for each in haproxy.servers(call.host.root):
        if each.host in hosts and not each.fenced:
            haproxy.tell(call.host.root, f"set server {each.path} state maint")


def _let_end(call: Call, found: tuple[haproxy.Server, ...], seconds: float) -> int:
    """Wait for connections through these servers to end; cut those that are left, and count them."""
    root, end = call.host.root, time.monotonic() + seconds
    told = time.monotonic()
    while (left := haproxy.sessions(root, found)) and time.monotonic() < end:
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            call.progress(f"{left} connections go through fenced hosts still")
        time.sleep(PAUSE_SECONDS)
    if left:
        for each in found:
            haproxy.tell(root, f"shutdown sessions server {each.path}")
    return left


def _wait_until_well(call: Call, hosts: set[str], seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        unwell = [
            each.path
            for each in haproxy.servers(call.host.root)
            if each.host in hosts and each.name == each.host and not each.well
        ]
        if not unwell:
            return
        if time.monotonic() >= end:
            raise ActionError(
                "balancer-unwell",
                f"HAProxy does not find {', '.join(unwell)} well within {seconds:g} s",
                cause="fenced again; what it asks is the health path, over TLS",
                hint="look at Nginx and its certificate there, then changeover catch-up again",
            )
        time.sleep(PAUSE_SECONDS)
