"""Packs of smoke checks: ``apps/<app>/smoke/<pack>.yml``, promises that more than one version may keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from changeover.checks import Checks  # noqa: TC001 - pydantic builds models from it
from changeover.document import read, shown, suggestion
from changeover.errors import InvalidInput
from changeover.release.figures import Declared
from changeover.release.problems import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class PackUnknown(InvalidInput):
    """The app has no such pack of smoke checks."""


def _not_empty(checks: Checks) -> Checks:
    if not checks:
        raise ValueError("a pack has at least one check")
    return checks


class Pack(Declared):
    """Smoke checks that belong together, whichever version is live."""

    summary: str
    checks: Annotated[Checks, AfterValidator(_not_empty)]


def pack_names(app: Path) -> tuple[str, ...]:
    """Return the names of an app's packs.

    Args:
        app: The app's directory.
    """
    return tuple(sorted(file.stem for file in (app / "smoke").glob("*.yml")))


def load_pack(app: Path, name: str) -> Pack:
    """Read one pack of an app.

    Args:
        app: The app's directory.
        name: The pack.

    Raises:
        PackUnknown: There is no such file; the hint lists those there are.
        DeclarationInvalid: It has mistakes.
    """
    known = pack_names(app)
    file = app / "smoke" / f"{name}.yml"
    if name not in known:
        raise PackUnknown(
            f"{app.name} has no pack {name}{suggestion(name, known)}",
            hint=f"name one of: {', '.join(known)}" if known else f"write {shown(file)}",
        )
    return validate(Pack, read(file), {})


def doubles(own: Checks, packs: dict[str, Pack]) -> Iterator[tuple[str, str]]:
    """Yield each pack with the id of a check that stands in the release or a pack before it, too."""
    ids = {check.id for check in own}
    for name, pack in packs.items():
        yield from ((name, check.id) for check in pack.checks if check.id in ids)
        ids |= {check.id for check in pack.checks}
