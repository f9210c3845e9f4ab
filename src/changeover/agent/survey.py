"""Answers about the host: what is live and placed, what was logged, what drifted."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from changeover.agent import lease, running
from changeover.agent.colour import manifest, open_websockets, place, units
from changeover.agent.failure import ActionError
from changeover.agent.journal import Journal
from changeover.agent.places import PLATFORM_RECORD
from changeover.agent.system import clock
from changeover.agent.traffic import (
    boot,
    contracted,
    deadman,
    fence,
    live,
    maintenance,
    share,
    site,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.colour.units import State
    from changeover.agent.parameters import Parameters

MOST_LINES = 10000
CHUNK = 1 << 20


def state(call: Call, given: Parameters) -> Result:
    """Say which colour is live, which was before, which a boot brings back, and who holds what."""
    given.only()
    places, moment = call.places, clock.now()
    record, present, held = live.seen(places), live.colour(places), lease.read(places)
    placed = units.colours(places)
    return {
        "live": present,
        "previous": record.before(present, placed),
        "confirmed": boot.confirmed(places),
        "since": _since(record, present, moment),
        "pending": _pending(call, record),
        "canary": share.shown(places),
        "shares": site.shares(call),
        "history": list(record.history),
        "contracted": list(contracted.read(places)),
        "fenced": fence.read(places),
        "releases": _releases(call, placed),
        "maintenance": maintenance.shown(call),
        "lock": held.as_shown(moment) if held else None,
        "fence": lease.highest(places),
        "at_work": [run.as_shown() for run in running.listed(places)],
        "agent": call.host.version,
        "boot_id": moment.boot,
    }


def _since(record: live.Record, present: str | None, moment: clock.Moment) -> dict[str, Any] | None:
    """Return since when the live colour is settled, by this host's clock; None where nobody knows."""
    ended = record.ended
    if record.pending or record.reverting or ended is None or ended.target != present:
        return None
    seconds = moment.wall - datetime.fromisoformat(ended.at).timestamp()
    return {"at": ended.at, "seconds": round(max(seconds, 0.0), 1)}


def _pending(call: Call, record: live.Record) -> dict[str, Any] | None:
    """Return what is under way; ``deadman`` only while systemd has it, so that it will come."""
    switch = record.pending
    name = switch.deadman if switch else None
    armed = name if name and deadman.armed(call, name) else None
    if record.reverting:
        under_way = record.reverting
        return {
            "kind": "revert",
            "deployment": under_way.deployment,
            "from": under_way.origin,
            "to": under_way.target,
            "deadman": armed,
        }
    if switch:
        return {
            "kind": "switch",
            "deployment": switch.deployment,
            "from": switch.origin,
            "to": switch.target,
            "at": switch.at,
            "deadman": armed,
        }
    return None


def _releases(call: Call, placed: list[str]) -> list[dict[str, Any]]:
    found, names = [], []
    for colour in placed:
        try:
            release = manifest.read(call.places.release(colour))
        except ActionError:
            continue
        own = units.names_of(call.places, release, colour)
        names.extend(own)
        found.append((colour, release, own))
    states: dict[str, State] = {entry.name: entry for entry in units.states(call.host, names)}
    return [
        {
            "colour": colour,
            "version": release.version,
            "digest": record.get("digest"),
            "placed_at": record.get("placed_at"),
            "deployment": record.get("deployment"),
            "running": bool(own) and all(_runs(states.get(name)) for name in own),
            "websockets": open_websockets.open_to(call, colour),
            "units": {name: _said(states.get(name)) for name in own},
        }
        for colour, release, own in found
        for record in [place.placed(call, colour)]
    ]


def _runs(entry: State | None) -> bool:
    return entry is not None and entry.running


def _said(entry: State | None) -> str:
    return "unknown" if entry is None else f"{entry.active}/{entry.sub}"


def logs(call: Call, given: Parameters) -> Result:
    """Return the last lines that a colour logged."""
    given.only("colour", "lines")
    colour = given.colour()
    lines = int(given.number("lines", 100, least=1, most=MOST_LINES))
    text = units.log_tail(call, units.of(call, colour), colour, lines)
    return {"colour": colour, "lines": text.splitlines()}


def journal(call: Call, given: Parameters) -> Result:
    """Return the last records of this host's journal, oldest first."""
    given.only("lines")
    lines = int(given.number("lines", 100, least=1, most=MOST_LINES))
    return {"records": Journal(call.places.state / "journal.jsonl").tail(lines)}


def collect(call: Call, given: Parameters) -> Result:
    """Return a colour's environment file, units and site as they are: secret, for a backup."""
    given.only("colour")
    colour = given.colour()
    places = call.places
    release = manifest.read(places.release(colour))
    site = places.release(colour) / release.site if release.site else None
    return {
        "colour": colour,
        "version": release.version,
        "env": _text(places.environment(colour)),
        "units": {
            process.name: _text(places.unit(process.name, colour)) for process in release.processes
        },
        "site": _text(site) if site else None,
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ActionError("file-missing", f"{path} is missing on this host") from error


def drift(call: Call, given: Parameters) -> Result:
    """Hold the host against what provision recorded: files, services, package versions."""
    given.only()
    path = call.host.root / PLATFORM_RECORD
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ActionError(
            "not-provisioned", f"{path} cannot be read: provision this host first", cause=str(error)
        ) from error
    differences = [
        *_files(call.host.root, record.get("files", {})),
        *_services(call, record.get("services", [])),
        *_packages(call, record.get("packages", {})),
    ]
    return {"drifted": bool(differences), "differences": differences}


def _difference(kind: str, name: str, expected: str, found: str | None) -> dict[str, Any]:
    return {"kind": kind, "name": name, "expected": expected, "found": found}


def _files(root: Path, files: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name, expected in sorted(files.items()):
        try:
            with (root / name.lstrip("/")).open("rb") as stream:
                found: str | None = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            found = None
        if found != expected:
            yield _difference("file", name, expected, found)


def _services(call: Call, services: list[str]) -> Iterator[dict[str, Any]]:
    for name in services:
        found = call.host.programs.run("systemctl", "is-active", "--", name).output.strip()
        if found != "active":
            yield _difference("service", name, "active", found or None)


def _packages(call: Call, packages: dict[str, str]) -> Iterator[dict[str, Any]]:
    if not packages:
        return
    said = call.host.programs.run(
        "dpkg-query", "--show", "--showformat=${Package}\t${db:Status-Abbrev}\t${Version}\n"
    ).output
    installed = {}
    for line in said.splitlines():
        name, status, version = line.split("\t")
        if status.startswith("ii"):
            installed[name] = version
    for name, expected in sorted(packages.items()):
        if installed.get(name) != expected:
            yield _difference("package", name, expected, installed.get(name))
