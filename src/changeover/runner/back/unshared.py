"""Take a deployment back whose canary was red: users who were on the new colour come back first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.executors import canary, lease
from changeover.runner.back import sending_back
from changeover.runner.undo.unasked import mend

if TYPE_CHECKING:
    from changeover.errors import ChangeoverError
    from changeover.plan.order import Plan
    from changeover.runner.run import Run


def begun(plan: Plan, red: steps.AnyStep) -> bool:
    """Tell whether clients may have been sent to the new colour ahead of the switch."""
    reached = plan.steps[: plan.steps.index(red) + 1]
    return any(isinstance(step, steps.Canary) for step in reached)


def send_back(run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError) -> ChangeoverError:
    """Send every client to the old colour, stop the new one, prove the old one.

    Raises:
        LeaseTaken: Another run has taken over.
    """
    ended = canary.end(run.fleet, run.app_hosts)
    for failure in ended.errors.values():
        if refused := lease.taken(run.fleet, failure):
            raise refused from failure
    back = [host for host in run.app_hosts if host.name in ended.replies]
    sending_back.stop(run, back, plan.colour)
    mended = mend(run, str(plan.situation.live_version), plan.version)
    return sending_back.arrived(run, plan, red, error, dict(ended.errors), mended, resumed=False)


def give_up(run: Run, plan: Plan, step: str, *, resumed: bool) -> str:
    """End the share of a deployment that stops in a step; say what of it is not known to have ended."""
    names = [each.id for each in plan.steps]
    shares = [each.id for each in plan.steps if isinstance(each, steps.Canary)]
    # Before the first of them nobody was sent anywhere, but where an earlier run came before.
    if not shares or (not resumed and names.index(step) < names.index(shares[0])):
        return ""
    ended = canary.end(run.fleet, run.app_hosts)
    if not ended.errors:
        return ""
    return (
        f"; clients of {', '.join(ended.errors)} may be on {plan.version} for "
        f"{canary.RENEWED_SECONDS} s more"
    )
