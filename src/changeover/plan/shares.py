"""The steps of a canary: shares of clients that get a new colour before the switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps

if TYPE_CHECKING:
    from changeover.plan.situation import Situation, Target


def shares(situation: Situation, target: Target) -> list[steps.AnyStep]:
    """Return a step a share; a client that is on the new colour stays there while they grow."""
    if target.canary is None:
        return []
    return [
        steps.Canary(
            id=f"canary-{percent}",
            guide=target.guided("canary"),
            hosts=situation.app_hosts,
            undo="send every client to the old colour",
            colour=target.colour,
            percent=percent,
            seconds=target.canary.seconds,
            deadline_seconds=target.canary.deadline_seconds,
            gates=target.canary.gates,
        )
        for percent in target.canary.shares
    ]
