"""The bundle's manifest: what it holds, down to each file's digest, and how it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.failure import ActionError
from changeover.agent.task import declared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from changeover.agent.task.declared import Task

FORMAT = 1
FILE_NAME = "manifest.json"
SUMMARY = "manifest-summary.json"
SITE = "site.conf"
FILE_MODES = {0o644, 0o755}
MIGRATOR_COMMANDS = ("command", "status", "undo")


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle."""

    sha256: str
    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class Health:
    """Where a process says that it is well."""

    socket: str
    path: str


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a release: its unit file in the bundle and the sockets it listens on."""

    name: str
    unit: str
    sockets: tuple[str, ...]
    health: Health | None
    drain_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrator:
    """The commands with which a release migrates its own database, by what they are for."""

    words: Mapping[str, tuple[str, ...]]
    deadline_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A bundle's contents.

    Args:
        site: The Nginx site's file in the bundle, if it has one.
        migrator: Its own commands that migrate the database, if it has any.
        maintenance: Its own page of maintenance, a file of its code, if it has one.
        tasks: The app's own work that can be asked for, by name.
    """

    app: str
    version: str
    files: Mapping[str, Member]
    processes: tuple[Process, ...]
    site: str | None
    migrator: Migrator | None = None
    maintenance: str | None = None
    tasks: Mapping[str, Task] = field(default_factory=dict)

    @property
    def sockets(self) -> frozenset[str]:
        """Return the sockets that the release listens on."""
        return frozenset(name for process in self.processes for name in process.sockets)

    @property
    def size(self) -> int:
        """Return the bytes of all files, unpacked."""
        return sum(member.size for member in self.files.values())


def parse(content: bytes) -> Manifest:
    """Read a bundle's manifest, and refuse one that names what cannot be or is not there.

    Raises:
        ActionError: ``bundle-invalid``.
    """
    manifest = _parse(content)
    _complete(manifest)
    return manifest


def _parse(content: bytes) -> Manifest:
    try:
        raw = json.loads(content)
        _known(raw["format"])
        files = {names.inner_path(path): _member(entry) for path, entry in raw["files"].items()}
        manifest = Manifest(
            app=names.checked("app", names.APP, raw["app"]),
            version=names.checked("version", names.VERSION, raw["version"]),
            files=files,
            processes=tuple(_process(name, entry) for name, entry in raw["processes"].items()),
            site=_site(raw.get("site")),
            migrator=_migrator(raw["migrator"]) if raw.get("migrator") else None,
            maintenance=_page(raw.get("maintenance")),
            tasks=declared.read(raw.get("tasks") or {}),
        )
    except ActionError as error:
        raise ActionError("bundle-invalid", f"manifest: {error.message}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActionError("bundle-invalid", f"manifest: {type(error).__name__} {error}") from error
    return manifest


def summarize(content: bytes) -> bytes:
    """Return a manifest without its files, which are most of it and done with once placed."""
    return json.dumps({**json.loads(content), "files": {}}).encode()


def read(release: Path) -> Manifest:
    """Read the manifest of a placed colour, without its files.

    Raises:
        ActionError: ``not-placed``; the colour is not on this host.
    """
    try:
        return _parse((release / SUMMARY).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ActionError(
            "not-placed", f"{release.name} has not been placed on this host"
        ) from error


def _known(number: object) -> None:
    if number != FORMAT:
        raise ActionError("bundle-invalid", f"format {number!r} is not known here")


def _site(name: object) -> str | None:
    if name in {None, SITE}:
        return SITE if name else None
    raise ActionError("bundle-invalid", f"the site has to be {SITE}, not {name!r}")


def _page(path: object) -> str | None:
    return None if path is None else f"code/{names.inner_path(path)}"


def _member(entry: dict[str, Any]) -> Member:
    mode = entry["mode"]
    mode = int(mode, 8) if isinstance(mode, str) else int(mode)
    if mode & 0o7777 not in FILE_MODES:
        raise ActionError("bundle-invalid", f"a file's mode may not be {mode:o}")
    digest = names.checked("digest", names.DIGEST, entry["sha256"])
    return Member(digest, int(entry["size"]), mode & 0o7777)


def _process(name: str, entry: dict[str, Any]) -> Process:
    health = entry.get("health")
    sockets = tuple(
        names.checked("socket", names.SOCKET, socket) for socket in entry.get("sockets") or ()
    )
    return Process(
        name=names.checked("process", names.PROCESS, name),
        unit=names.inner_path(entry["unit"]),
        sockets=sockets,
        health=_health(health, sockets) if health else None,
        drain_seconds=float(entry.get("drain_seconds", 0)),
    )


def _health(entry: dict[str, Any], sockets: tuple[str, ...]) -> Health:
    path = entry["path"]
    if entry["socket"] not in sockets:
        raise ActionError("bundle-invalid", f"health asks the unknown socket {entry['socket']!r}")
    if not (isinstance(path, str) and path.startswith("/") and path.isprintable()):
        raise ActionError("bundle-invalid", f"{path!r} is no path to ask")
    return Health(entry["socket"], path)


def _migrator(entry: dict[str, Any]) -> Migrator:
    words = {what: tuple(entry[what]) for what in MIGRATOR_COMMANDS if entry.get(what)}
    for command in words.values():
        if not all(isinstance(word, str) and word.isprintable() for word in command):
            raise ActionError("bundle-invalid", "a word of the migrator is no printable text")
    if "command" not in words:
        raise ActionError("bundle-invalid", "the migrator has no command")
    return Migrator(words=words, deadline_seconds=float(entry["deadline_seconds"]))


def _complete(manifest: Manifest) -> None:
    wanted = [process.unit for process in manifest.processes]
    if manifest.site:
        wanted.append(manifest.site)
    missing = sorted(set(wanted) - set(manifest.files))
    if missing:
        raise ActionError("bundle-invalid", f"the bundle lacks {', '.join(missing)}")
