"""What happens when a step is red: take back what was begun, and say honestly what serves now."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import ChangeoverError, Failed, Interrupted, Mixed, RolledBack
from changeover.executors import lease, operate
from changeover.plan import ROLLBACK_CLOSING_SECONDS
from changeover.runner import proof

if TYPE_CHECKING:
    from changeover.plan import Plan
    from changeover.runner.run import Run

STOP_SECONDS = 5
UNLEASED = ("preflight", "lock")
SWITCHED = ("switch", "smoke", "confirm")


def recover(run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError) -> ChangeoverError:
    """Take back a deployment whose step is red, and return the error that the user is told."""
    if red.id in SWITCHED:
        return _after_switch(run, plan, error)
    if _serves_already(run, plan):
        if red.id in UNLEASED:
            return _mixed(run, error, f"{plan.colour} serves, unfinished, and {red.id} is red")
        return _after_switch(run, plan, error)
    return _before_switch(run, plan, red, error)


def _serves_already(run: Run, plan: Plan) -> bool:
    """Tell whether an earlier run of the deployment had sent users on; a resumed one begins anew."""
    if plan.situation.live == plan.colour:
        return False
    answers = operate.states(run.fleet, run.app_hosts)
    return any(
        replies["state"].result.get("live") == plan.colour for replies in answers.replies.values()
    )


def _before_switch(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError
) -> ChangeoverError:
    begun = {step.id for step in plan.steps[: plan.steps.index(red) + 1]}
    if "start" in begun:
        operate.stop(run.fleet, run.app_hosts, plan.colour, STOP_SECONDS)
    lease.unlock(run.fleet, run.lease_hosts)
    serving = plan.situation.live_version
    said = f"{serving} serves" if serving else "nothing was live and nothing is"
    if error.exit_code == Failed.exit_code:
        error.message = f"{red.id}: {error.message}; {said}, nothing is half done"
    run.end("failed", error.exit_code, error.message)
    return error


def _after_switch(run: Run, plan: Plan, error: ChangeoverError) -> ChangeoverError:
    before, version = plan.situation.live, plan.situation.live_version
    step = steps.Revert(
        id="revert",
        hosts=plan.situation.app_hosts,
        colour=before,
        closing_seconds=ROLLBACK_CLOSING_SECONDS,
    )
    try:
        revert(run, step)
        if version is not None:
            again = steps.Smoke(id="smoke-before", version=version)
            run.step(again, lambda: proof.smoke(run, again))
    except ChangeoverError as second:
        return _mixed(run, second, f"going back to {before or 'nothing'} failed ({error.message})")
    operate.stop(run.fleet, run.app_hosts, plan.colour, STOP_SECONDS)
    lease.unlock(run.fleet, run.lease_hosts)
    if version is None:
        error.message = f"{error.message}; nothing was live before and nothing is"
        run.end("failed", error.exit_code, error.message)
        return error
    message = f"{error.message}; rolled back: {version} serves again, proved"
    run.end("rolled-back", RolledBack.exit_code, message)
    return RolledBack(
        message,
        hint=f"changeover report {run.fleet.deployment} --env {run.environment.name}",
        host=error.host,
        cause=error.cause,
    )


def revert(run: Run, step: steps.Revert) -> None:
    """Send every app host back; a host keeps what it went back to over a boot."""
    run.step(step, lambda: _revert(run, step))


def _revert(run: Run, step: steps.Revert) -> steps.Outcome:
    outcome, answers = operate.revert(run.fleet, run.app_hosts, step)
    answers.check()
    return outcome


def _mixed(run: Run, error: ChangeoverError, said: str) -> Mixed:
    lease.unlock(run.fleet, run.lease_hosts)
    message = f"{said}: {error.message}"
    run.end("mixed", Mixed.exit_code, message)
    return Mixed(
        message,
        hint=f"look at each host with: changeover status --env {run.environment.name}",
        host=error.host,
        cause=error.cause,
    )


def unexpected(error: Exception) -> Failed:
    """Return a fault of this program as a failure that can be recovered from and told."""
    return Failed(
        f"unexpected {type(error).__name__}: {error}",
        hint="please report this with the lines above",
        cause="".join(traceback.format_exception(error)[-3:]).strip(),
    )


def interrupted(run: Run, step: str, again: str | None = None) -> Interrupted:
    """Journal that a person or the machine stopped the run, and say how to go on.

    Args:
        run: The run.
        step: The step it was in.
        again: The verb that goes on when it is typed again, which needs the lease to be free;
            ``None`` for a deployment, which keeps its lease for ``resume`` or ``abort``.
    """
    name = run.environment.name
    hint = f"changeover resume --env {name}, or changeover abort --env {name}"
    if again is not None:
        lease.unlock(run.fleet, run.lease_hosts)
        hint = f"changeover {again} --env {name} goes on"
    message = f"interrupted at {step}"
    run.end("interrupted", Interrupted.exit_code, message)
    return Interrupted(message, hint=hint)
