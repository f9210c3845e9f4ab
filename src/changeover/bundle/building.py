"""Build a release into a bundle, or find the one that was built from the same input."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.bundle import archive, programs, sbom, signature
from changeover.bundle.dependencies import installed
from changeover.bundle.manifest import (
    FORMAT,
    RELEASE,
    SBOM,
    SITE,
    Manifest,
    MigratorEntry,
    ParameterEntry,
    ProcessEntry,
    TaskEntry,
    canonical,
    without_absent,
)
from changeover.bundle.members import Member, code_members, migration_members
from changeover.bundle.verifying import digest_of, signature_of
from changeover.render import render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from changeover.release import App, Release, Task

SITE_TEMPLATE = "etc/nginx/sites-available/app.conf.j2"
UNIT_TEMPLATE = "etc/systemd/system/app.service.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A built release.

    Args:
        path: The file; its signature is beside it as ``<path>.sig``.
        digest: The sha256 of the file, in hexadecimal.
        manifest: What it holds.
        built: Whether it was built now; otherwise it was there already.
    """

    path: Path
    digest: str
    manifest: Manifest
    built: bool

    @property
    def signature(self) -> Path:
        """Return the signature file."""
        return signature_of(self.path)


def build(
    root: Path, app: App, release: Release, signing_key: Path, *, output: Path | None = None
) -> Bundle:
    """Build a release, unless a bundle of the same input is there and whole.

    The same input gives the same bytes, so building twice gives one digest.

    Args:
        root: The project root; downloads and bundles are kept in its ``build/``.
        app: The app.
        release: The release.
        signing_key: The private key that signs the bundle.
        output: Where bundles are kept; ``build/bundles`` of the root unless given.

    Raises:
        CodeUnfit, BuildFailed, TemplateInvalid: The release cannot be built; of Python, besides,
            LockUnfit, WheelMissing, HashWrong, ProgramMissing.
        SigningFailed: The key cannot sign.
    """
    output = output or root / "build" / "bundles"
    members = [
        *code_members(app, release),
        *migration_members(release),
        *(Member(path, text.encode()) for path, text in rendered(root, app, release).items()),
        Member(RELEASE, canonical(without_absent(release.model_dump(mode="json")))),
    ]
    inputs = _inputs_digest(app, release, members)
    note = output / ".inputs" / f"{inputs}.json"
    signer = signature.public_key(signing_key)
    kept = _kept(note, output, inputs)
    if kept is None:
        bundle = _build(root, app, release, members, inputs, output)
        _write(note, canonical({"bundle": bundle.path.name, "digest": bundle.digest}))
    else:
        bundle = kept
    signed = bundle.signature.is_file() and signature.is_signed_by(
        bundle.path, bundle.signature, [signer]
    )
    if not signed:
        _write(bundle.signature, signature.sign(bundle.path, signing_key))
    return bundle


def rendered(root: Path, app: App, release: Release) -> dict[str, str]:
    """Return what templates make of a release: its units and its Nginx site, by path in the bundle.

    Templates get ``app`` and ``release`` as they are declared; a unit also gets ``process``, which
    has its ``name`` besides.

    Raises:
        TemplateInvalid: A template uses what is not there.
    """
    values = {"app": app.model_dump(mode="json"), "release": release.model_dump(mode="json")}
    texts = {
        f"units/{name}.service": render(
            UNIT_TEMPLATE,
            {**values, "process": {"name": name, **process.model_dump(mode="json")}},
            root=root,
        )
        for name, process in release.processes.items()
    }
    if release.nginx is not None:
        texts[SITE] = render(SITE_TEMPLATE, values, root=root)
    return texts


def _inputs_digest(app: App, release: Release, members: Sequence[Member]) -> str:
    content = {
        "format": FORMAT,
        "app": app.app,
        "version": release.version,
        "members": {each.path: [each.sha256(), each.mode] for each in members},
        "machine": _machine(app, release),
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def _machine(app: App, release: Release) -> list[str]:
    """Return what packages are taken for: the machine they are installed on, and its interpreter."""
    if release.build.kind == "none":
        return []
    version = [app.runtime.version] if app.runtime.version is not None else []
    return [sys.platform, platform.machine(), *version]


def _kept(note: Path, output: Path, inputs: str) -> Bundle | None:
    """Return the bundle that was built from this input, if it is still whole."""
    try:
        noted = json.loads(note.read_bytes())
        path, digest = output / str(noted["bundle"]), str(noted["digest"])
        if digest_of(path) != digest:
            return None
        manifest = archive.read_manifest(path)
    except (OSError, ValueError, KeyError, TypeError, archive.ArchiveBroken):
        return None
    if manifest.built_from != inputs:
        return None
    return Bundle(path=path, digest=digest, manifest=manifest, built=False)


def _build(
    root: Path, app: App, release: Release, members: list[Member], inputs: str, output: Path
) -> Bundle:
    output.mkdir(parents=True, exist_ok=True)
    code = [member for member in members if member.path.startswith("code/")]
    with (
        installed(app, release, code, root / "build" / "packages") as added,
        tempfile.NamedTemporaryFile(dir=output, prefix=".building-", delete=False) as stream,
    ):
        partial = Path(stream.name)
        try:
            bill = Member(SBOM, sbom.document(app.app, release.version, added.components))
            everything = [*members, *added.members, bill]
            manifest = _manifest(app, release, everything, inputs)
            archive.write(stream, manifest, everything)
            stream.flush()
            os.fsync(stream.fileno())
            digest = digest_of(partial)
            path = output / f"{app.app}-{release.version}-{digest[:8]}.bundle"
            partial.chmod(0o644)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    return Bundle(path=path, digest=digest, manifest=manifest, built=True)


def _manifest(app: App, release: Release, members: list[Member], inputs: str) -> Manifest:
    site = release.nginx
    return Manifest(
        app=app.app,
        version=release.version,
        built_from=inputs,
        files={member.path: archive.entry_of(member) for member in members},
        processes={
            name: ProcessEntry(
                unit=f"units/{name}.service",
                sockets=process.sockets,
                health=process.health,
                drain_seconds=process.drain_seconds,
            )
            for name, process in release.processes.items()
        },
        site=SITE if site is not None else None,
        static=site.static.directory if site is not None and site.static is not None else None,
        sbom=SBOM,
        migrator=_migrator(release),
        maintenance=site.maintenance if site is not None else None,
        tasks={name: _task(release, task) for name, task in release.tasks.items()},
    )


def _migrator(release: Release) -> MigratorEntry | None:
    declared = release.migrator
    if declared is None:
        return None
    placed = _placed(release)
    return MigratorEntry(
        command=placed(declared.command),
        status=placed(declared.status) if declared.status else None,
        undo=placed(declared.undo) if declared.undo else None,
        deadline_seconds=declared.deadline_seconds,
    )


def _placed(release: Release) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    return programs.inside if release.build.kind == "python" else tuple[str, ...]


def _task(release: Release, declared: Task) -> TaskEntry:
    placed = _placed(release)
    return TaskEntry(
        command=placed(declared.command),
        dry_run=placed(declared.dry_run) if declared.dry_run else None,
        undo=placed(declared.undo) if declared.undo else None,
        parameters={
            name: ParameterEntry(
                type=each.type,
                required=not each.optional,
                minimum=each.minimum,
                maximum=each.maximum,
                matches=each.matches,
            )
            for name, each in declared.parameters.items()
        },
        deadline_seconds=declared.deadline_seconds,
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as stream:
        stream.write(content)
    partial = Path(stream.name)
    partial.chmod(0o644)
    partial.rename(path)
