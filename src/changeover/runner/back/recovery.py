"""What happens when a step is red: take back what was begun, and say honestly what serves now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover import steps
from changeover.executors import lease, operate
from changeover.plan import behind_page
from changeover.runner import endings
from changeover.runner.back import sending_back, unshared, unswitched
from changeover.runner.page import closed

if TYPE_CHECKING:
    from changeover.errors import ChangeoverError
    from changeover.plan.order import Plan
    from changeover.runner.run import Run

SWITCHED = ("switch", "smoke", "confirm")
CONFIRMED = ("maintenance-off", "drain", "unlock")


def recover(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, resumed: bool = False
) -> ChangeoverError:
    """Take back a deployment whose step is red, and return the error that the user is told.

    Args:
        run: The run.
        plan: Its plan.
        red: The step that is red.
        error: Why.
        resumed: Whether an earlier run of the deployment came before: it may have sent users on.
    """
    run.unstoppable = True
    refused = lease.taken(run.fleet, error)
    if refused and red.id not in unswitched.UNLEASED:
        return endings.taken(run, refused, red.id)
    try:
        return _taken_back(run, plan, red, error, resumed=resumed)
    except lease.LeaseTaken as overtaken:
        return endings.taken(run, overtaken, red.id)


def _taken_back(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, resumed: bool
) -> ChangeoverError:
    if _is_after(plan, red.id):
        return _stays(run, plan, red, error)
    leased = red.id not in unswitched.UNLEASED
    behind = closed.behind(run, plan, red, resumed=resumed, leased=leased)
    if behind and not _all_settled(run, plan):
        return closed.take_back(run, plan, red, error, leased=leased)
    if _only_shared(run, plan, red, resumed=resumed):
        return unshared.send_back(run, plan, red, error)
    if red.id == "switch" and not resumed and _moved_nobody(run, plan):
        return unswitched.take_back(run, plan, red, error)
    if red.id in SWITCHED:
        return sending_back.send_back(run, plan, red, error, resumed=resumed)
    again = resumed and plan.situation.live != plan.colour
    before_switch = _before_switch_again if again else unswitched.take_back
    return before_switch(run, plan, red, error)


def _is_after(plan: Plan, name: str) -> bool:
    """Tell whether a step comes once the new version is confirmed."""
    found = next((step for step in plan.steps if step.id == name), None)
    return name in CONFIRMED or (isinstance(found, steps.Work) and found.when == "after_confirm")


def _before_switch_again(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError
) -> ChangeoverError:
    """Take back what an earlier run of the deployment did as well: it may have sent users on."""
    states = _states(run)
    if not any(state.get("live") == plan.colour for state in states):
        return unswitched.take_back(run, plan, red, error, resumed=True)
    if _all_settled(run, plan):
        return _stays(run, plan, red, error)
    if red.id in unswitched.UNLEASED:
        message = f"{plan.colour} serves, unfinished, and {red.id} is red: {error.message}"
        return endings.mixed(run, message, error, hint=endings.look(run))
    return sending_back.send_back(run, plan, red, error, resumed=True)


def _states(run: Run) -> list[dict[str, Any]]:
    answers = operate.states(run.fleet, run.app_hosts)
    return [dict(replies["state"].result) for replies in answers.replies.values()]


def _moved_nobody(run: Run, plan: Plan) -> bool:
    """Tell whether every app host says that it refused the switch, and is as it was."""
    before = (plan.situation.live, plan.situation.live, None)
    states = _states(run)
    return len(states) == len(run.app_hosts) and all(
        (each.get("live"), each.get("confirmed"), each.get("pending")) == before for each in states
    )


def _all_settled(run: Run, plan: Plan) -> bool:
    states = _states(run)
    return len(states) == len(run.app_hosts) and all(_settled_on(plan, each) for each in states)


def _only_shared(run: Run, plan: Plan, red: steps.AnyStep, *, resumed: bool) -> bool:
    """Tell whether clients were on the new colour by a canary alone, and nobody was switched."""
    if isinstance(red, steps.Canary):
        return not (resumed and any(state.get("live") == plan.colour for state in _states(run)))
    return (
        red.id == "switch"
        and not resumed
        and unshared.begun(plan, red)
        and _moved_nobody(run, plan)
    )


def _settled_on(plan: Plan, state: dict[str, Any]) -> bool:
    said = (state.get("live"), state.get("confirmed"), state.get("pending"))
    return said == (plan.colour, plan.colour, None)


def _stays(run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError) -> ChangeoverError:
    """Leave users on what is confirmed: it was proved, and what is red is not what they get."""
    message = f"{plan.version} serves and is confirmed; {red.id} is red: {error.message}"
    name = run.environment.name
    hint = (
        f"changeover smoke --env {name} shows what users get, "
        f"changeover rollback --env {name} takes it back"
    )
    task = isinstance(red, steps.Work)
    if task:
        hint = (
            f"changeover resume --env {name} goes on with it, "
            f"changeover rollback --env {name} takes the version back"
        )
    shown = behind_page.closed(plan.situation) and bool(run.shut)
    behind = shown or closed.behind(run, plan, red, resumed=True, leased=True)
    if behind:
        run.shut = "users get the page of maintenance"
        hint = (
            f"changeover resume --env {name} ends it, and takes the page away; where it cannot, "
            f"changeover maintenance off --env {name} does"
        )
    return endings.mixed(run, message, error, hint=hint, goes_on=behind or task)


def interrupted(
    run: Run, plan: Plan, step: str, *, resumed: bool = False, going_back: bool = False
) -> ChangeoverError:
    """Journal that a person or the machine stopped a deployment, and say what serves.

    Args:
        run: The run.
        plan: Its plan.
        step: The step it was in.
        resumed: Whether an earlier run of the deployment came before.
        going_back: It was going back already, since that step was red.
    """
    run.unstoppable = True
    still = unshared.give_up(run, plan, step, resumed=resumed)
    name = run.environment.name
    before = plan.situation.live_version
    says = f"{before} serves" if before else "nothing is live"
    hint = f"changeover resume --env {name} goes on, changeover abort --env {name} takes it back"
    if step in SWITCHED or going_back:
        sure = "" if step == "confirm" or resumed else ", which is not confirmed"
        says = (
            f"users may be on {plan.version}{sure}{sending_back.alone(plan, step, resumed=resumed)}"
        )
    elif _is_after(plan, step):
        runs = "" if step in CONFIRMED else ", and the task runs on by itself"
        says = f"{plan.version} serves and is confirmed{runs}"
        page = ", and takes the page away" if step == "maintenance-off" else ""
        hint = (
            f"changeover resume --env {name} ends it{page}, "
            f"changeover rollback --env {name} takes it back"
        )
    elif step.startswith("task-"):
        says = f"{says}, and the task runs on by itself"
    elif step == "migrator":
        says = f"{says}, and the app's own migrator runs on by itself"
    elif resumed:
        says = f"users may be on {plan.version} already; changeover status --env {name} shows it"
    if behind_page.closed(plan.situation) and not _is_after(plan, step):
        says = _behind_page(run, plan, step, says, resumed=resumed)
    if going_back:
        hint = f"changeover abort --env {name} goes on with going back"
        says = f"{says}; it was going back"
    message = f"interrupted at {step}: {says}{still}"
    return endings.interrupted(run, message, hint=hint, free=False)


def _behind_page(run: Run, plan: Plan, step: str, says: str, *, resumed: bool) -> str:
    """Say what runs where users get the page of a deployment, or may get it."""
    if resumed or step == behind_page.ON:
        run.shut = run.shut or "users may get the page of maintenance"
    before, version = plan.situation.live_version, plan.version
    if resumed:
        look = f"changeover status --env {run.environment.name}"
        return f"{before} or {version} may run, {look} shows which"
    if not run.shut or step == behind_page.ON:
        return says
    return f"{before} is stopped, or being so, and {version} is not confirmed"
