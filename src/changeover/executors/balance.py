"""Keep users from app hosts at the balancers, and send them there again, through the host agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.outcome import Outcome
from changeover.remote.fleet import action, on_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.remote.fleet import Fleet
    from changeover.steps import Fence, Unfence


def fence(fleet: Fleet, balancers: Sequence[Host], step: Fence) -> Outcome:
    """Have every balancer send nobody to the hosts any more, and end what goes through them."""
    request = action(
        "fence", servers=list(step.servers), why=step.why[:500], drain_seconds=step.seconds
    )
    results = on_each(fleet, balancers, lambda _: [request]).each("fence")
    cut = sum(int(result.get("cut", 0)) for result in results.values())
    ended = f", {counted(cut, 'connection')} cut" if cut else ""
    return Outcome(
        says=f"no user gets to {', '.join(step.servers)} at {', '.join(results)}{ended}",
        figures={"cut": cut},
    )


def unfence(fleet: Fleet, balancers: Sequence[Host], step: Unfence) -> Outcome:
    """Have every balancer send users to the hosts again, once its own check finds them well."""
    request = action("unfence", servers=list(step.servers), timeout_seconds=step.seconds)
    results = on_each(fleet, balancers, lambda _: [request]).each("unfence")
    kept = sorted({host for result in results.values() for host in result.get("kept") or ()})
    free = [host for host in step.servers if host not in kept]
    parts = [f"users get to {', '.join(free)} again at {', '.join(results)}"] if free else []
    if kept:
        parts.append(f"no user gets to {', '.join(kept)} yet: another app keeps it fenced")
    return Outcome(says="; ".join(parts), figures={"kept": kept} if kept else {})
