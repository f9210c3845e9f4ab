"""Find the project root: the directory that holds inventories, apps and templates."""

from __future__ import annotations

import os
from pathlib import Path

from changeover.errors import InvalidInput

ROOT_VARIABLE = "CHANGEOVER_ROOT"
BESIDE = "./"
LAB_VARIABLE = "CHANGEOVER_LAB"
LAB_STATE_VARIABLE = "CHANGEOVER_LAB_STATE"
LAB_STATE_DIRECTORY = Path("/var/lib/changeover-lab")
CHECKOUT = Path(__file__).resolve().parents[3]


class RootMissing(InvalidInput):
    """No directory with inventories was found."""


def project_root(start: Path | None = None) -> Path:
    """Return the project root.

    It is what ``CHANGEOVER_ROOT`` says, else the closest directory from ``start`` (the current
    directory) upwards that holds ``inventories/``, else the checkout this package lives in.

    Raises:
        RootMissing: None of them holds ``inventories/``.
    """
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        root = Path(named).expanduser().resolve()
        if (root / "inventories").is_dir():
            return root
        raise RootMissing(
            f"{ROOT_VARIABLE} is {named}, and there is no inventories/ in it",
            hint=f"unset {ROOT_VARIABLE}, or point it at the project's root",
        )
    here = (start or Path.cwd()).resolve()
    for candidate in (here, *here.parents, CHECKOUT):
        if (candidate / "inventories").is_dir():
            return candidate
    raise RootMissing(
        f"there is no inventories/ in {here} or above it",
        hint=f"change to the project's root, or set {ROOT_VARIABLE} to it",
    )


def named_lab() -> Path | None:
    """Return the inventory directory of the lab that ``CHANGEOVER_LAB`` names, if it names one."""
    name = os.environ.get(LAB_VARIABLE)
    if not name:
        return None
    return Path(os.environ.get(LAB_STATE_VARIABLE, LAB_STATE_DIRECTORY)) / name / "inventory"


def located(text: str, directory: Path, root: Path) -> Path:
    """Return a path as a variable names it, made absolute.

    ``./`` at its start is the environment's directory, ``~`` the home directory; any other relative
    path starts at the root.
    """
    if text.startswith(BESIDE):
        return directory / text.removeprefix(BESIDE)
    return root / Path(text).expanduser()


def near(path: Path, root: Path) -> Path:
    """Return ``path`` as a person would type it: relative to the root where it lies inside."""
    return path.relative_to(root) if path.is_relative_to(root) else path
