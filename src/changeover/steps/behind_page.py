"""The step kinds of what happens behind a page of maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from changeover.steps.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceOn(Step):
    """Show users the page of maintenance on every app host; checks from outside get the app.

    Args:
        wanted: Who wants it: a person by ``hand``, or the ``deployment``.
        reason: Why; users do not see it.
        retry_after: The seconds after which clients are told to come again.
        allow: The addresses that get the app.
    """

    kind: ClassVar[str] = "maintenance-on"
    says: ClassVar[str] = "show users the page of maintenance"
    wanted: Literal["hand", "deployment"]
    reason: str
    retry_after: int
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceOff(Step):
    """Take the page of maintenance away; it stays where somebody else wants it."""

    kind: ClassVar[str] = "maintenance-off"
    says: ClassVar[str] = "take the page of maintenance away"
    wanted: Literal["hand", "deployment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Step):
    """Stop a colour while users get the page of maintenance; its connections are drained."""

    kind: ClassVar[str] = "stop"
    says: ClassVar[str] = "stop the old colour, behind the page"
    colour: str
    seconds: int
