"""What every package manager is given, what it gives back, and how it fails."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from changeover.bundle.members import Member

SECONDS = 540
TAIL_LINES = 25


class BuildFailed(Failed):
    """The dependencies of a release could not be installed."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What building adds to the code, and what that is made of, as the bill of materials lists it."""

    members: list[Member] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a package manager ended, and all that it said."""

    exit: int
    said: str

    @property
    def tail(self) -> str:
        """Return the end of what it said."""
        return "\n".join(self.said.splitlines()[-TAIL_LINES:])


def lay(code: Sequence[Member], place: Path) -> None:
    """Write a copy of the code below ``place``."""
    for member in code:
        target = place / member.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(member.content())


def run(words: Sequence[str], what: str, directory: Path, environment: Mapping[str, str]) -> Ended:
    """Run a package manager to its end.

    Raises:
        BuildFailed: It took longer than any installation should.
    """
    try:
        done = subprocess.run(
            words,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(
            f"{what} took more than {SECONDS} s",
            hint="check the connection to the package registry, then run this again",
        ) from error
    return Ended(done.returncode, done.stdout)
