"""The programs of a Python bundle: the interpreter with the bundle's packages, and what they bring to run.

A virtual environment would be a link to an interpreter, and a bundle holds files alone; so each
program is a few lines of shell that say where the packages are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.bundle.members import Member
from changeover.errors import InvalidInput
from changeover.release.tasks import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from changeover.release import Release

TOP = ".python"
PACKAGES = f"{TOP}/packages"
BIN = f"{TOP}/bin"
INTERPRETERS = ("python", "python3")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ENTRY = re.compile(r"(?P<module>\w+(\.\w+)*)\s*:\s*(?P<function>\w+(\.\w+)*)\s*(\[.*\])?", re.ASCII)
# -S: what the host's own packages are is not this bundle's matter, and they change under it.
INTERPRETER = """\
#!/bin/sh
home=$(CDPATH= cd "${{0%/*}}/.." && pwd) || exit
export PYTHONPATH="$home/packages${{PYTHONPATH:+:$PYTHONPATH}}"
export PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
exec /usr/bin/python{version} -S "$@"
"""
SCRIPT = """\
#!/bin/sh
exec "${{0%/*}}/python" -c 'import sys
from {module} import {first}
sys.argv[0] = "{name}"
sys.exit({function}())' "$@"
"""


class ProgramMissing(InvalidInput):
    """A command of a release names a program that its bundle does not have."""


def members(version: str, scripts: Mapping[str, str]) -> Iterator[Member]:
    """Yield the programs.

    Args:
        version: The interpreter's, such as ``3.11``.
        scripts: What the packages declare to be run: name to ``module:function``.
    """
    interpreter = INTERPRETER.format(version=version).encode()
    for name in INTERPRETERS:
        yield Member(f"code/{BIN}/{name}", interpreter, executable=True)
    for name, declared in sorted(scripts.items()):
        entry = ENTRY.fullmatch(declared)
        if entry is None or NAME.fullmatch(name) is None or name in INTERPRETERS:
            continue
        text = SCRIPT.format(
            name=name, first=entry["function"].partition(".")[0], **entry.groupdict()
        )
        yield Member(f"code/{BIN}/{name}", text.encode(), executable=True)


def inside(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command with its program's path in the code, where it is named without one."""
    return words if "/" in words[0] else (f"{BIN}/{words[0]}", *words[1:])


def require(release: Release, there: set[str]) -> None:
    """Refuse a release whose commands name other programs than these.

    Raises:
        ProgramMissing: The first that is not there.
    """
    for key, words in _commands(release):
        if "/" not in words[0] and words[0] not in there:
            raise ProgramMissing(
                f"{key} of {release.version} names {words[0]}, and the bundle has "
                f"{', '.join(sorted(there))}",
                hint=f"name one of them in {key}, or pin the package that brings {words[0]}",
            )


def _commands(release: Release) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, process in release.processes.items():
        yield f"processes.{name}.command", process.command
    migrator = release.migrator
    if migrator is not None:
        for what in ("command", "status", "undo"):
            words: tuple[str, ...] | None = getattr(migrator, what)
            if words is not None:
                yield f"migrator.{what}", words
    for name, task in release.tasks.items():
        for what in COMMANDS:
            if task.words(what):
                yield f"tasks.{name}.{what}", task.words(what)
