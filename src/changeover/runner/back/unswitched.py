"""Take back a deployment that is red before its switch: users were not moved, what was begun is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import ChangeoverError, Failed, Mixed
from changeover.executors import lease, operate
from changeover.runner import endings
from changeover.runner.back import retreat, sending_back, withdrawal
from changeover.runner.fleet import survey
from changeover.runner.own import back as own_back
from changeover.runner.own import migrator as own
from changeover.runner.own.left import OwnMigratorRuns
from changeover.runner.tasks import back as tasks_back
from changeover.runner.undo.unasked import mend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.plan.order import Plan
    from changeover.runner.run import Run
    from changeover.runner.undo.unasked import Mended

UNLEASED = ("preflight", "lock")


def take_back(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, resumed: bool = False
) -> ChangeoverError:
    """Take it back, and return the error that the user is told.

    Args:
        run: The run.
        plan: Its plan.
        red: The step that is red.
        error: Why.
        resumed: Whether an earlier run of the deployment came before, which may have come further.

    Raises:
        LeaseTaken: Another run has taken over.
    """
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
    if red.id not in UNLEASED and _worked(run, begun, resumed=resumed):
        # Before migrations are undone, that a task's own undo may need.
        taken = tasks_back.take_back(run, serving)
        said += taken.words
        if taken.error:
            message, hint = f"{red.id}: {error.message}; {said}", taken.error.hint
            return endings.mixed(run, message, taken.error, hint=hint, goes_on=taken.unseen)
    if serving and red.id not in UNLEASED:
        mended = mend(run, serving, plan.version)
        if mended.undone or (mended.error and (mended.judged or _breaks(plan, begun))):
            return _mended(run, plan, mended, f"{red.id}: {error.message}; {said}", error, left)
    return _ended(run, red, error, said, serving, withdrawal.let_go(run, left))


def _ended(
    run: Run,
    red: steps.AnyStep,
    error: ChangeoverError,
    said: str,
    serving: str | None,
    held: Sequence[str],
) -> ChangeoverError:
    """Journal the end of a deployment that moved nobody, and return what the user is told."""
    if red.id in UNLEASED:
        error.message = f"{error.message}; nothing was changed"
    elif isinstance(red, steps.MigrateOwn):
        error.message = f"{red.id}: {error.message}; {said}"
    elif held or error.exit_code == Failed.exit_code:
        error.message = f"{red.id}: {error.message}; {said}{_left(run, error, serving, held)}"
    run.end("mixed" if isinstance(error, Mixed) else "failed", error.exit_code, error.message)
    return error


def _worked(run: Run, begun: set[str], *, resumed: bool) -> bool:
    """Tell whether a task of the release may have run; a resumed plan has none that was done."""
    return run.release is not None and bool(run.release.runs) and (resumed or "start" in begun)


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
