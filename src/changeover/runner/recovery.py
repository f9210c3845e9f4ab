"""What happens when a step is red: take back what was begun, and say honestly what serves now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import ChangeoverError, Failed, RolledBack
from changeover.executors import lease, operate
from changeover.plan import DEADMAN_SECONDS, ROLLBACK_CLOSING_SECONDS
from changeover.runner import endings, retreat

if TYPE_CHECKING:
    from changeover.plan import Plan
    from changeover.runner.run import Run

STOP_SECONDS = 5
UNLEASED = ("preflight", "lock")
SWITCHED = ("switch", "smoke", "confirm")
CONFIRMED = ("drain", "unlock")


def recover(run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError) -> ChangeoverError:
    """Take back a deployment whose step is red, and return the error that the user is told."""
    run.unstoppable = True
    refused = lease.taken(run.fleet, error)
    if refused and red.id not in UNLEASED:
        return endings.taken(run, refused, red.id)
    if red.id in SWITCHED:
        return _after_switch(run, plan, error)
    if _serves_already(run, plan):
        if red.id in UNLEASED:
            message = f"{plan.colour} serves, unfinished, and {red.id} is red: {error.message}"
            return endings.mixed(run, message, error, hint=_look(run))
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
        behind = retreat.send(run, step, run.app_hosts)
    except ChangeoverError as second:
        message = f"{error.message}; no host went back to {before or 'nothing'}: {second.message}"
        return endings.mixed(run, message, second, hint=_look(run))
    back = retreat.but(run.app_hosts, behind)
    try:
        if before is not None:
            retreat.prove(run, before, back)
    except ChangeoverError as second:
        message = (
            f"{error.message}; {version} serves again on {retreat.listed(back)}, and is not "
            f"proved: {second.message}"
        )
        if not behind:
            return endings.mixed(run, message, second, hint=_look(run))
        return _behind(run, plan, behind, message)
    operate.stop(run.fleet, back, plan.colour, STOP_SECONDS)
    if behind:
        said = f"{error.message}; {version or 'nothing'} serves again on {retreat.listed(back)}"
        return _behind(run, plan, behind, said)
    lease.unlock(run.fleet, run.lease_hosts)
    return _taken_back(run, version, error)


def _behind(
    run: Run, plan: Plan, behind: dict[str, ChangeoverError], message: str
) -> ChangeoverError:
    """End where some hosts did not go back: until they do, or take themselves back, all is mixed."""
    lost = endings.one_of(behind)
    name, version = run.environment.name, plan.situation.live_version
    alone = f"; unconfirmed, it goes back by itself within {DEADMAN_SECONDS} s" if version else ""
    again = f"changeover rollback --to {version}" if version else "changeover abort"
    return endings.mixed(
        run,
        f"{message}; not known to be back: {lost.host} ({lost.message}){alone}",
        lost,
        hint=f"keep users from {lost.host}; when it answers, {again} --env {name}",
    )


def _taken_back(run: Run, version: str | None, error: ChangeoverError) -> ChangeoverError:
    if version is None:
        error.message = f"{error.message}; nothing was live before and nothing is"
        run.end("failed", error.exit_code, error.message)
        return error
    message = f"{error.message}; rolled back: {version} serves again, proved"
    end = run.end("rolled-back", RolledBack.exit_code, message)
    return RolledBack(
        str(end["message"]),
        hint=f"changeover report {run.fleet.deployment} --env {run.environment.name}",
        host=error.host,
        cause=error.cause,
    )


def interrupted(run: Run, plan: Plan, step: str, *, going_back: bool = False) -> ChangeoverError:
    """Journal that a person or the machine stopped a deployment, and say what serves.

    Args:
        run: The run.
        plan: Its plan.
        step: The step it was in.
        going_back: It was going back already, since that step was red.
    """
    run.unstoppable = True
    name = run.environment.name
    before = plan.situation.live_version
    says = f"{before} serves" if before else "nothing is live"
    hint = f"changeover resume --env {name} goes on, changeover abort --env {name} takes it back"
    if step in SWITCHED or going_back:
        says = f"users may be on {plan.version}, which is not confirmed"
        if before:
            says += f"; each host goes back to {before} by itself within {DEADMAN_SECONDS} s"
    elif step in CONFIRMED:
        says = f"{plan.version} serves and is confirmed"
        hint = (
            f"changeover resume --env {name} ends it, "
            f"changeover rollback --env {name} takes it back"
        )
    if going_back:
        hint = f"changeover abort --env {name} goes on with going back"
        says = f"{says}; it was going back"
    message = f"interrupted at {step}: {says}"
    return endings.interrupted(run, message, hint=hint, free=False)


def _look(run: Run) -> str:
    name = run.environment.name
    return f"changeover status --env {name} shows each host, then changeover abort --env {name}"
