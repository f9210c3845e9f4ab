"""Put a verified bundle on the host as a colour: code, environment, units; nothing runs yet."""

from __future__ import annotations

import errno
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.colour import environment_file, incoming, manifest, units
from changeover.agent.colour import unpack as archives
from changeover.agent.failure import ActionError
from changeover.agent.system import clock, durable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters

PLACED = "placed.json"
UNPACKING = ".unpacking-"
SPARE_BYTES = 64 * 1024 * 1024
FULL = {errno.ENOSPC, errno.EDQUOT}


def place(call: Call, given: Parameters) -> Result:
    """Place the uploaded bundle of this digest with these environment values.

    The controller may name the colour, so that other values make another colour of the same bundle.

    Raises:
        ActionError: ``disk-full``, with free and needed bytes; ``colour-in-use`` when other
            values are meant for a colour that runs; what the bundle is refused for.
    """
    given.only("digest", "env", "colour")
    digest = given.name("digest", names.DIGEST)
    values = given.mapping("env")
    environment_file.render(values)
    announced = given.colour() if given.has("colour") else None
    present = [
        colour
        for colour in units.colours(call.places)
        if announced in {None, colour} and _digest(call, colour) == digest
    ]
    if present:
        again = _again(call, present[0], values)
        incoming.forget(call.host, digest)
        return again
    clear_leftovers(call)
    try:
        with incoming.verified(call.host, _staging(call), digest) as bundle:
            result = _lay_out(
                call, bundle, digest, values, given.colour() if given.has("colour") else None
            )
    except OSError as error:
        if error.errno in FULL:
            raise _disk_full(call, 0, str(error)) from error
        raise
    incoming.forget(call.host, digest)
    return result


def _lay_out(
    call: Call, bundle: Path, digest: str, values: Mapping[str, Any], announced: str | None
) -> Result:
    release = archives.manifest_of(bundle)
    if release.app != call.app.name:
        raise ActionError("bundle-invalid", f"this is a bundle of {release.app}")
    own = names.checked("colour", names.COLOUR, names.colour_of(release.version, digest))
    colour = announced or own
    if names.version_of(colour) != release.version:
        raise ActionError("bundle-invalid", f"this bundle is {own}, not {announced}")
    if call.places.release(colour).exists():
        raise ActionError("colour-taken", f"{colour} is another bundle on this host")
    durable.ensure_directory(call.places.releases)
    _refuse_full(call, release.size)
    unpacked = call.places.releases / f"{UNPACKING}{colour}"
    try:
        size = archives.unpack(bundle, unpacked, call.give_way)
        _record(unpacked, digest, call.deployment)
        call.host.programs.must("sync-failed", "sync", "-f", str(unpacked), seconds=300)
        environment_file.write(call.places.environment(colour), values)
        units.install(call, release, unpacked, colour)
        unpacked.rename(call.places.release(colour))
        durable.sync_directory(call.places.releases)
    except BaseException as error:
        _take_away(call, unpacked, colour)
        if isinstance(error, OSError) and error.errno in FULL:
            raise _disk_full(call, release.size, str(error)) from error
        raise
    units.reload(call.host)
    return {"colour": colour, "bytes": size, "unpacked": True}


def _again(call: Call, colour: str, values: Mapping[str, Any]) -> Result:
    """Complete a colour that is there; its environment changes only while it does not run."""
    release = manifest.read(call.places.release(colour))
    path = call.places.environment(colour)
    changed = not environment_file.same(path, values)
    if changed:
        _refuse_in_use(call, colour, release)
        environment_file.write(path, values)
    fresh = units.install(call, release, call.places.release(colour), colour)
    if fresh:
        units.reload(call.host)
    return {
        "colour": colour,
        "bytes": 0,
        "unpacked": False,
        "skipped": not (changed or fresh),
    }


def _refuse_in_use(call: Call, colour: str, release: manifest.Manifest) -> None:
    states = units.states(call.host, units.names_of(call.places, release, colour))
    if any(not state.ended for state in states):
        raise ActionError(
            "colour-in-use", f"{colour} runs with other environment values: stop it first"
        )


def _record(unpacked: Path, digest: str, deployment: str) -> None:
    record = {"digest": digest, "placed_at": clock.stamp(), "deployment": deployment}
    summary = manifest.summarize((unpacked / manifest.FILE_NAME).read_bytes())
    for name, content in ((PLACED, json.dumps(record).encode()), (manifest.SUMMARY, summary)):
        path = unpacked / name
        path.write_bytes(content)
        path.chmod(durable.PUBLIC)


def placed(call: Call, colour: str) -> dict[str, str]:
    """Return what was recorded when a colour was placed."""
    try:
        record = json.loads((call.places.release(colour) / PLACED).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def halves(call: Call) -> list[str]:
    """Return the colours of which there is something on this host, and no whole release: cut off halves.

    A removal that had to empty a release where it stands leaves one without its manifest.
    """
    places, app = call.places, call.app.name
    begun = {path.stem for path in places.environments.glob("*.env")} | set(units.colours(places))
    begun |= {path.name.removeprefix(UNPACKING) for path in places.releases.glob(f"{UNPACKING}*")}
    begun |= {path.stem.rpartition("@")[2] for path in places.units.glob(f"{app}-*@*.service")}
    return sorted(
        name for name in begun if names.COLOUR.fullmatch(name) and not _is_whole(call, name)
    )


def _is_whole(call: Call, colour: str) -> bool:
    try:
        manifest.read(call.places.release(colour))
    except ActionError:
        return False
    return True


def _digest(call: Call, colour: str) -> str | None:
    return placed(call, colour).get("digest")


def _take_away(call: Call, unpacked: Path, colour: str) -> None:
    shutil.rmtree(unpacked, ignore_errors=True)
    durable.remove(call.places.environment(colour))
    units.remove(call, colour)


def _staging(call: Call) -> Path:
    return call.places.state / "staging"


def clear_leftovers(call: Call) -> None:
    """Remove what was half copied, half unpacked or half removed."""
    shutil.rmtree(_staging(call), ignore_errors=True)
    for path in call.places.releases.glob(".*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _refuse_full(call: Call, needed: int) -> None:
    if _free(call) < needed + SPARE_BYTES:
        raise _disk_full(call, needed + SPARE_BYTES, None)


def _free(call: Call) -> int:
    path = call.places.releases
    while not path.exists():
        path = path.parent
    facts = os.statvfs(path)
    return facts.f_bavail * facts.f_frsize


def _disk_full(call: Call, needed: int, cause: str | None) -> ActionError:
    free = _free(call)
    wanted = f"{needed} bytes are needed, " if needed else ""
    return ActionError(
        "disk-full",
        f"the disk of {call.places.releases} is full: {wanted}{free} are free; nothing was kept",
        cause=cause,
        free_bytes=free,
        needed_bytes=needed,
    )
