"""The steps of a deployment whose release takes its predecessor's place behind a page of maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from changeover import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.plan.situation import Situation, Target

ON = "maintenance-on"
# What the page tells clients: about as long as a deployment behind it takes.
RETRY_AFTER_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveAgain(steps.Backup):
    """Back up a second time while nobody writes."""

    says: ClassVar[str] = "back up again, now that nobody writes, where the way back needs it"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAlone(steps.Start):
    """Start the new colour once the old one is stopped."""

    says: ClassVar[str] = "start the new colour in the old one's place and wait for its health"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAgain(steps.Start):
    """Start the old colour again, where the new one is taken back."""

    says: ClassVar[str] = "start the old colour again and wait for its health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep(steps.Drain):
    """Leave the old colour as it is: placed, and stopped."""

    says: ClassVar[str] = "keep the old colour for a rollback, stopped"


def closed(situation: Situation) -> bool:
    """Tell whether the old version is stopped, behind a page, before the new one starts."""
    return situation.strategy == "maintenance" and situation.live is not None


def shown(situation: Situation, target: Target) -> list[steps.AnyStep]:
    """Return what shows the page."""
    if not closed(situation):
        return []
    return [
        steps.MaintenanceOn(
            id=ON,
            hosts=situation.app_hosts,
            undo="the old version serves again, then the page is taken away",
            wanted="deployment",
            reason=f"deploy {target.version}",
            retry_after=RETRY_AFTER_SECONDS,
        )
    ]


def shut(situation: Situation, target: Target, *, migrates: bool) -> list[steps.AnyStep]:
    """Return what makes sure that nobody writes any more, and keeps what is there then."""
    if not closed(situation) or situation.live is None:
        return []
    sequence: list[steps.AnyStep] = [
        steps.Stop(
            id="stop",
            hosts=situation.app_hosts,
            undo="start it again",
            colour=situation.live,
            seconds=target.drain_seconds,
        )
    ]
    if situation.database_hosts and migrates:
        sequence.append(
            SaveAgain(
                id="backup-again",
                hosts=situation.database_hosts,
                colour=situation.live,
                version=situation.live_version or "",
                again=True,
            )
        )
    return sequence


def migrated_back(situation: Situation) -> str | None:
    """Return what a plan says that takes a migration back, where the old version is stopped before it."""
    if not closed(situation):
        return None
    if situation.verdict.kind == "instant":
        return "nothing is taken back: the old version is started again on what is there"
    if situation.verdict.kind == "revert":
        return "it is undone before the old version is started again"
    return "the backup is swapped in before the old version is started again"


def switched_back(situation: Situation) -> str | None:
    """Return what a plan says that takes the switch back, where the old version is stopped before it."""
    return (
        "rename back, the old colour started again behind the page" if closed(situation) else None
    )


def taken_away(situation: Situation) -> list[steps.AnyStep]:
    """Return what takes the page away again."""
    if not closed(situation):
        return []
    hosts = situation.app_hosts
    return [steps.MaintenanceOff(id="maintenance-off", hosts=hosts, wanted="deployment")]


def words(situation: Situation) -> Iterator[str]:
    """Give the lines that tell who agrees to a plan that users get a page in place of the app."""
    if closed(situation):
        before = situation.live_version
        yield f"users get a page of maintenance from maintenance-on to maintenance-off: {before} is stopped"
        yield f"  red: {before} is started again, proved, and the page taken away"
