"""Hold an app host against the interpreter that a release in Python runs on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.executors.preflight.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.executors.preflight.facts import HostFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What a release in Python runs on.

    Args:
        version: Such as ``3.11``.
        machine: The processor that its bundle is built for; ``None`` where no packages are built.
    """

    version: str
    machine: str | None


def findings(host: str, facts: HostFacts, needed: Interpreter, provision: str) -> Iterator[Finding]:
    """Yield whether the interpreter is there, and whether packages for it would load.

    Args:
        host: The host's inventory name.
        facts: What it has.
        needed: What the release runs on.
        provision: The command that brings this host to its platform state.
    """
    there = f"it has Python {', '.join(facts.interpreters) or 'in no version'}"
    fits = needed.version in facts.interpreters
    lacks = None if fits else (f"and the app runs on {needed.version}", provision)
    yield Finding.ranked("interpreter", host, there, red=lacks, warn=None)
    if needed.machine is not None and facts.machine != needed.machine:
        yield Finding(
            id="machine",
            status="red",
            host=host,
            message=f"it is {facts.machine}, and bundles built here are for {needed.machine}",
            next=f"deploy from a controller that is {facts.machine}, too",
        )
