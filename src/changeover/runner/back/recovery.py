"""What happens when a step is red: take back what was begun, and say honestly what serves now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover import steps
from changeover.errors import ChangeoverError, Failed, Mixed
from changeover.executors import lease, operate
from changeover.plan import behind_page
from changeover.runner import endings
from changeover.runner.back import retreat, sending_back, unshared, withdrawal
from changeover.runner.fleet import survey
from changeover.runner.own import back as own_back
from changeover.runner.own import migrator as own
from changeover.runner.own.left import OwnMigratorRuns
from changeover.runner.page import closed
from changeover.runner.undo.unasked import mend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.plan.order import Plan
    from changeover.runner.run import Run
    from changeover.runner.undo.unasked import Mended

UNLEASED = ("preflight", "lock")
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
    if refused and red.id not in UNLEASED:
        return endings.taken(run, refused, red.id)
    try:
        return _taken_back(run, plan, red, error, resumed=resumed)
    except lease.LeaseTaken as overtaken:
        return endings.taken(run, overtaken, red.id)


def _taken_back(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, resumed: bool
) -> ChangeoverError:
    if red.id in CONFIRMED:
        return _stays(run, plan, red, error)
    leased = red.id not in UNLEASED
    behind = closed.behind(run, plan, red, resumed=resumed, leased=leased)
    if behind and not _all_settled(run, plan):
        return closed.take_back(run, plan, red, error, leased=leased)
    if _only_shared(run, plan, red, resumed=resumed):
        return unshared.send_back(run, plan, red, error)
    if red.id == "switch" and not resumed and _moved_nobody(run, plan):
        return _before_switch(run, plan, red, error)
    if red.id in SWITCHED:
        return sending_back.send_back(run, plan, red, error, resumed=resumed)
    again = resumed and plan.situation.live != plan.colour
    before_switch = _before_switch_again if again else _before_switch
    return before_switch(run, plan, red, error)


def _before_switch_again(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError
) -> ChangeoverError:
    """Take back what an earlier run of the deployment did as well: it may have sent users on."""
    states = _states(run)
    if not any(state.get("live") == plan.colour for state in states):
        return _before_switch(run, plan, red, error, resumed=True)
    if _all_settled(run, plan):
        return _stays(run, plan, red, error)
    if red.id in UNLEASED:
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
    shown = behind_page.closed(plan.situation) and bool(run.shut)
    behind = shown or closed.behind(run, plan, red, resumed=True, leased=True)
    if behind:
        run.shut = "users get the page of maintenance"
        hint = (
            f"changeover resume --env {name} ends it, and takes the page away; where it cannot, "
            f"changeover maintenance off --env {name} does"
        )
    return endings.mixed(run, message, error, hint=hint, goes_on=behind)


def _before_switch(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, resumed: bool = False
) -> ChangeoverError:
    begun = {step.id for step in plan.steps[: plan.steps.index(red) + 1]}
    serving = plan.situation.live_version
    said = survey.unmoved(run.fleet, run.app_hosts, serving, error)
    if isinstance(red, steps.MigrateOwn) and not isinstance(error, OwnMigratorRuns):
        running = _migrator_cut_off(run, plan, error, said)
        if running is not None:
            return running
    # An earlier run of the deployment may have come further than this one.
    if "start" in begun or (resumed and red.id not in UNLEASED):
        operate.stop(run.fleet, run.app_hosts, plan.colour, sending_back.STOP_SECONDS)
    left = [] if red.id in UNLEASED else withdrawal.halves(run, error)
    if serving and red.id not in UNLEASED:
        mended = mend(run, serving, plan.version)
        if mended.undone or (mended.error and (mended.judged or _breaks(plan, begun))):
            return _mended(run, plan, mended, f"{red.id}: {error.message}; {said}", error, left)
    held = withdrawal.let_go(run, left)
    if red.id in UNLEASED:
        error.message = f"{error.message}; nothing was changed"
    elif isinstance(red, steps.MigrateOwn):
        error.message = f"{red.id}: {error.message}; {said}"
    elif held or error.exit_code == Failed.exit_code:
        error.message = f"{red.id}: {error.message}; {said}{_left(run, error, serving, held)}"
    run.end("mixed" if isinstance(error, Mixed) else "failed", error.exit_code, error.message)
    return error


def _left(run: Run, error: ChangeoverError, serving: str | None, held: Sequence[str]) -> str:
    """Say that nothing is half done, or on which hosts nobody knows, and what to type for them."""
    if not held:
        return ", nothing is half done"
    hosts, name = ", ".join(held), run.environment.name
    error.hint = (
        f"when {hosts} answers, changeover abort --env {name} takes back what is left there, "
        f"changeover resume --env {name} goes on"
    )
    boots = f": it comes back on {serving} when it boots" if serving else ""
    return f"; {hosts} does not answer as asked, and what was begun there is not taken back{boots}"


def _breaks(plan: Plan, begun: set[str]) -> bool:
    """Tell whether migrations were begun that the old version may not be able to live with."""
    names = {step.id for step in plan.steps if isinstance(step, steps.Migrate)}
    return plan.situation.verdict.kind != "instant" and not begun.isdisjoint(names)


def _mended(
    run: Run,
    plan: Plan,
    mended: Mended,
    message: str,
    error: ChangeoverError,
    left: Sequence[str],
) -> ChangeoverError:
    """End where users stayed on a version that could not live with what stood in the database."""
    if mended.error is not None:
        return sending_back.unmended(run, mended.error, message, error)
    try:
        retreat.prove(run, str(plan.situation.live), run.app_hosts)
    except ChangeoverError as second:
        if refused := lease.taken(run.fleet, second):
            raise refused from second
        smoke = f"changeover smoke --env {run.environment.name} shows what users get"
        message = f"{message}, and is not proved: {second.message}{mended.words}"
        return endings.mixed(run, message, second, hint=smoke)
    withdrawal.let_go(run, left)
    error.message = f"{message}, proved{mended.words}"
    run.end("failed", error.exit_code, error.message)
    return error


def _migrator_cut_off(
    run: Run, plan: Plan, error: ChangeoverError, said: str
) -> ChangeoverError | None:
    """End the app's own migrator where it runs on without us; ``None`` where it had ended by itself."""
    name = run.environment.name
    ended = own_back.end(run, [own.host(run)])
    if ended.unseen:
        lost = endings.one_of(ended.unseen)
        return endings.mixed(
            run,
            f"migrator: {error.message}; the app's own migrator may run on at {lost.host}; {said}",
            lost,
            hint=f"when {lost.host} answers, changeover resume --env {name} takes over how it ended,"
            f" changeover abort --env {name} ends it",
            goes_on=True,
        )
    if ended.was:
        return endings.mixed(
            run,
            f"migrator: {error.message}; the app's own migrator ran on, and was ended half way; {said}",
            error,
            hint=f"changeover deploy {plan.version} --env {name} runs it again, on top of what stands",
        )
    return None


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
    elif step in CONFIRMED:
        says = f"{plan.version} serves and is confirmed"
        page = ", and takes the page away" if step == "maintenance-off" else ""
        hint = (
            f"changeover resume --env {name} ends it{page}, "
            f"changeover rollback --env {name} takes it back"
        )
    elif step == "migrator":
        says = f"{says}, and the app's own migrator runs on by itself"
    elif resumed:
        says = f"users may be on {plan.version} already; changeover status --env {name} shows it"
    if behind_page.closed(plan.situation) and step not in CONFIRMED:
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
