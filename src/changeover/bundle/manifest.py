"""A bundle's table of contents: every file with its digest, and how its processes are run."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from changeover.release.app import HealthProbe  # noqa: TC001 - pydantic builds models from it
from changeover.release.figures import Declared

FORMAT: Literal[1] = 1
FILE_NAME = "manifest.json"
SITE = "site.conf"
SBOM = "sbom.cdx.json"
RELEASE = "release.json"
RARE = {"migrator", "maintenance", "tasks", "runs"}


class FileEntry(Declared):
    """One file: its sha256, its size in bytes, and its mode in octal."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    mode: Literal["0644", "0755"]


class ProcessEntry(Declared):
    """One process: its unit file in the bundle and what the host asks of it."""

    unit: str
    sockets: tuple[str, ...]
    health: HealthProbe | None
    drain_seconds: int


class MigratorEntry(Declared):
    """The app's own commands that migrate its database; the host runs no other words."""

    command: tuple[str, ...]
    status: tuple[str, ...] | None
    undo: tuple[str, ...] | None
    deadline_seconds: int


class ParameterEntry(Declared):
    """What a host holds a value to that a task is given."""

    type: Literal["string", "integer", "boolean"]
    required: bool
    minimum: int | None
    maximum: int | None
    matches: str | None


class TaskEntry(Declared):
    """One task: its commands, and the values that they may be given."""

    command: tuple[str, ...]
    dry_run: tuple[str, ...] | None
    undo: tuple[str, ...] | None
    parameters: dict[str, ParameterEntry]
    deadline_seconds: int


class Manifest(Declared):
    """What a bundle holds.

    ``built_from`` is the digest of everything it was built from; ``static`` is a directory of the
    code that Nginx serves itself, ``maintenance`` a page of the code that takes the place of the host's own.
    """

    format: Literal[1] = FORMAT
    app: str
    version: str
    built_from: str
    files: dict[str, FileEntry]
    processes: dict[str, ProcessEntry]
    site: str | None
    static: str | None
    sbom: str
    migrator: MigratorEntry | None = None
    maintenance: str | None = None
    tasks: dict[str, TaskEntry] = Field(default_factory=dict)

    def as_bytes(self) -> bytes:
        """Return the manifest as it stands in the bundle."""
        return canonical(without_absent(self.model_dump(mode="json")))


def without_absent(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what few releases have, so that bundles without it stay the same."""
    return {key: value for key, value in document.items() if key not in RARE or value}


def canonical(value: object) -> bytes:
    """Return JSON in the one way this package writes it into bundles."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{text}\n".encode()
