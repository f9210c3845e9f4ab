"""Find and read apps and their releases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.document import read, shown, suggestion
from changeover.errors import InvalidInput
from changeover.release.app import App
from changeover.release.figures import version_order
from changeover.release.model import Release
from changeover.release.pack import doubles, load_pack, pack_names
from changeover.release.problems import invalid, validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from changeover.document import Document, KeyPath
    from changeover.release.pack import Pack

RELEASES_VARIABLE = "CHANGEOVER_RELEASES"


class AppUnknown(InvalidInput):
    """There is no such app."""


class VersionUnknown(InvalidInput):
    """The app has no such release."""


def load_app(root: Path, app: str) -> App:
    """Read ``apps/<app>/app.yml``.

    Raises:
        AppUnknown: There is no such file.
        DeclarationInvalid: It has mistakes.
    """
    directory = root / "apps" / app
    file = directory / "app.yml"
    if not file.is_file():
        known = sorted(each.parent.name for each in (root / "apps").glob("*/app.yml"))
        raise AppUnknown(
            f"there is no app {app}{suggestion(app, known)}",
            hint=f"name one of: {', '.join(known)}" if known else f"create {file}",
        )
    document = read(file)
    found = validate(App, document, {"directory": directory})
    if found.app != app:
        raise invalid(document, [(("app",), f"it is {found.app}, and the directory is {app}")])
    return found


def versions(root: Path, app: str, *, extra_roots: Iterable[Path] = ()) -> tuple[str, ...]:
    """Return the versions of an app that have a release.yml, oldest first.

    Besides ``apps/<app>/releases`` they are looked for in ``extra_roots`` and in the directories
    that ``CHANGEOVER_RELEASES`` lists; each holds ``<version>/`` or ``<app>/<version>/``.
    """
    return tuple(sorted(_found(root, app, extra_roots), key=version_order))


def load_release(
    root: Path, app: str, version: str, *, extra_roots: Iterable[Path] = ()
) -> Release:
    """Read one release.

    Raises:
        VersionUnknown: There is none of that version; the hint lists those there are.
        DeclarationInvalid: It has mistakes.
    """
    found = _found(root, app, extra_roots)
    if version not in found:
        raise unknown_version(app, version, found)
    directory = found[version]
    owner = load_app(root, app)
    document = read(directory / "release.yml")
    packs = _packs(owner.directory, document)
    release = validate(Release, document, {"directory": directory, "packs": packs})
    problems: list[tuple[KeyPath, str]] = []
    if release.version != version:
        problems.append((("version",), f"it is {release.version}, and the directory is {version}"))
    provided = {"database": owner.database, "cache": owner.cache, "public_url": True}
    problems += [
        (("environment", "variables", name, "from"), f"the app declares no {variable.source}")
        for name, variable in release.environment.variables.items()
        if variable.source is not None and not provided[variable.source]
    ]
    problems += [
        (
            ("code", index),
            f"{entry} is neither in {shown(owner.directory)} nor in {shown(directory)}",
        )
        for index, entry in enumerate(release.code)
        if not (owner.directory / entry).exists() and not (directory / entry).exists()
    ]
    if release.build.kind == "python" and owner.runtime.kind != "python":
        file = shown(owner.directory / "app.yml")
        problems.append((("build", "kind"), f"python is for a runtime of kind python in {file}"))
    problems += _precondition_problems(owner, release)
    problems += _migrator_problems(owner, release)
    problems += _pack_problems(owner, release, packs)
    if release.runs and owner.database is None:
        problems.append(
            (("runs",), "the app declares no database, whose ledger tells what was done")
        )
    if problems:
        raise invalid(document, problems)
    return release


def _packs(app: Path, document: Document) -> dict[str, Pack]:
    """Return the packs that a release names; one that is not there is a mistake of the release."""
    named = document.data.get("smoke_packs")
    known = pack_names(app)
    return (
        {name: load_pack(app, name) for name in named if name in known}
        if isinstance(named, list)
        else {}
    )


def _pack_problems(
    owner: App, release: Release, packs: dict[str, Pack]
) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with the packs that a release names."""
    known = pack_names(owner.directory)
    for place, name in enumerate(release.smoke_packs):
        if name not in known:
            yield ("smoke_packs", place), f"there is no pack {name}{suggestion(name, known)}"
        elif name in release.smoke_packs[:place]:
            yield ("smoke_packs", place), f"{name} is named twice"
    for name, check in doubles(release.smoke, packs):
        place = release.smoke_packs.index(name)
        yield ("smoke_packs", place), f"its check {check} has an id that another one has"


def _precondition_problems(owner: App, release: Release) -> Iterator[tuple[KeyPath, str]]:
    """Yield what keeps a release from holding the live data against its preconditions."""
    if not release.preconditions:
        return
    # The parser takes a tenth of a second to load, which releases without a precondition do without.
    from changeover.migrations.query import NoQuery, one_select  # noqa: PLC0415

    if owner.database is None:
        yield ("preconditions",), "the app declares no database"
    for index, precondition in enumerate(release.preconditions):
        try:
            one_select(precondition.rows)
        except NoQuery as error:
            yield ("preconditions", index, "rows"), str(error)


def _migrator_problems(owner: App, release: Release) -> Iterator[tuple[KeyPath, str]]:
    """Yield what keeps a release from migrating by its own command."""
    if release.migrator is None:
        if release.migrator_checks.exists():
            yield (), f"{release.migrator_checks.name} is for a migrator, and none is declared"
        return
    for problem in _against_migrator(owner, release):
        yield ("migrator",), problem


def _against_migrator(owner: App, release: Release) -> Iterator[str]:
    if owner.database is None:
        yield "the app declares no database"
    elif not owner.database.migrates_itself:
        file = shown(owner.directory / "app.yml")
        yield (
            "its owner role cannot reach the database from app hosts: set "
            f"database.migrates_itself: true in {file}, then run changeover provision"
        )
    if any(release.migrations.glob("*/*.sql")):
        yield (
            "a release migrates by SQL files or by its own command, not by both: remove it, or "
            f"{shown(release.migrations)}"
        )


def load_releases(root: Path, app: str, *, extra_roots: Iterable[Path] = ()) -> dict[str, Release]:
    """Read every release of an app, oldest first, by version."""
    extra_roots = tuple(extra_roots)
    return {
        version: load_release(root, app, version, extra_roots=extra_roots)
        for version in versions(root, app, extra_roots=extra_roots)
    }


def unknown_version(app: str, version: str, known: Iterable[str]) -> VersionUnknown:
    """Return the error for a version that has no release."""
    listed = ", ".join(sorted(known, key=version_order))
    return VersionUnknown(
        f"{app} has no release {version}",
        hint=f"name one of: {listed}" if listed else f"write apps/{app}/releases/{version}",
    )


def _found(root: Path, app: str, extra_roots: Iterable[Path]) -> dict[str, Path]:
    load_app(root, app)
    named = os.environ.get(RELEASES_VARIABLE, "")
    places = [Path(place).expanduser() for place in named.split(os.pathsep) if place]
    found: dict[str, Path] = {}
    for place in (root / "apps" / app / "releases", *extra_roots, *places):
        inner = place / app
        for file in (inner if inner.is_dir() else place).glob("*/release.yml"):
            found.setdefault(file.parent.name, file.parent.resolve())
    return {version: path for version, path in found.items() if _is_version(version)}


def _is_version(name: str) -> bool:
    return name.partition("-")[0].replace(".", "").isdigit()
