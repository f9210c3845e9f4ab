"""The ordered steps that end a bake window: backup, rehearsal, contract, retire. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.plan.order import LEASE_SECONDS, START_SECONDS, Plan

if TYPE_CHECKING:
    from changeover.plan.situation import Situation


def finalize(situation: Situation, old: tuple[str, ...], reason: str = "finalize") -> Plan:
    """Return the plan that ends the bake window: backup, rehearsal, contract, retire.

    Args:
        situation: What was found; ``pending`` are contract migrations.
        old: The colours that are removed.
        reason: What the lease is taken for, as hosts and journals keep it.
    """
    everywhere = situation.all_hosts
    sequence: list[steps.AnyStep] = [
        steps.Lock(id="lock", hosts=everywhere, reason=reason, seconds=LEASE_SECONDS)
    ]
    if situation.pending and situation.live and situation.live_version:
        sequence += [
            steps.Backup(
                id="backup",
                hosts=situation.database_hosts,
                colour=situation.live,
                version=situation.live_version,
                keep=True,
            ),
            steps.Rehearse(
                id="rehearse",
                hosts=situation.database_hosts,
                phases=("contract",),
                migrations=situation.pending,
            ),
            steps.Migrate(
                id="contract",
                hosts=situation.database_hosts,
                final=True,
                phases=("contract",),
                migrations=situation.pending,
            ),
        ]
    sequence += [
        steps.Retire(
            id="retire", hosts=situation.app_hosts, final=True, colours=old, seconds=START_SECONDS
        ),
        steps.Unlock(id="unlock", hosts=everywhere),
    ]
    return Plan(
        situation=situation,
        version=situation.live_version or "",
        colour=situation.live or "",
        steps=tuple(sequence),
    )
