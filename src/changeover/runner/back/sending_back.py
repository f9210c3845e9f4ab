"""Send users back where a deployment is red after its switch, and say honestly what serves then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import ChangeoverError, RolledBack
from changeover.executors import lease
from changeover.executors.canary import RENEWED_SECONDS
from changeover.plan.order import ROLLBACK_CLOSING_SECONDS, back_alone_seconds
from changeover.runner import endings
from changeover.runner.back import retreat
from changeover.runner.deployment import draining
from changeover.runner.fleet import away
from changeover.runner.own import back as own_back
from changeover.runner.tasks import back as tasks_back
from changeover.runner.tasks.taken import TakenBack
from changeover.runner.undo.unasked import Mended, mend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.plan.order import Plan
    from changeover.remote.fleet import Answers
    from changeover.runner.run import Run

STOP_SECONDS = 5


def send_back(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, resumed: bool
) -> ChangeoverError:
    """Send users back to what was live before a red step, prove it, and return what they are told.

    What the old version cannot live with is undone right before they move, where that is proved: it
    finds its schema when it is asked whether it is well.

    Raises:
        LeaseTaken: The lease is another's.
    """
    before, version = plan.situation.live, plan.situation.live_version
    step = steps.Revert(
        id="revert",
        hosts=tuple(host.name for host in run.app_hosts),
        colour=before,
        closing_seconds=ROLLBACK_CLOSING_SECONDS,
    )
    # Where the plan found that the old version can use what is there, users do not wait for the
    # database to say so again: it may be what is red.
    first = plan.situation.verdict.kind != "instant"
    mended = mend(run, version, plan.version) if version and first else Mended()
    try:
        behind = away.fenced_off(run, retreat.send(run, step, run.app_hosts))
    except ChangeoverError as second:
        if refused := lease.taken(run.fleet, second):
            raise refused from second
        message = f"{error.message}; no host went back to {before or 'nothing'}: {second.message}"
        if mended.undone:
            message += (
                f"; {', '.join(mended.undone)} is undone, which {plan.version} may not run without"
            )
        hint = endings.after(second, endings.look(run))
        return endings.mixed(run, message, second, hint=hint, goes_on=True)
    if version and not first:
        mended = mend(run, version, plan.version)
    return arrived(run, plan, red, error, behind, mended, resumed=resumed)


def stop(run: Run, hosts: Sequence[Host], colour: str) -> Answers:
    """Stop a colour that users were sent back from."""
    return draining.stop(run, hosts, colour, STOP_SECONDS)


def arrived(
    run: Run,
    plan: Plan,
    red: steps.AnyStep,
    error: ChangeoverError,
    behind: dict[str, ChangeoverError],
    mended: Mended,
    *,
    resumed: bool,
) -> ChangeoverError:
    """Prove what users were sent back to, stop what they left, and say how it is."""
    before, version = plan.situation.live, plan.situation.live_version
    back = retreat.but(run.app_hosts, behind)
    if not back:
        then = alone(plan, red.id, resumed=resumed)
        return _behind(run, plan, behind, f"{error.message}; no app host answers", then)
    said = f"{version or 'nothing'} serves again"
    unproved = _unproved(run, before, back)
    stop(run, back, plan.colour)
    if unproved or behind:
        said += f" on {retreat.listed(back)}"
    if unproved:
        said += f", and is not proved: {unproved.message}"
    message = f"{error.message}; {said}{mended.words}"
    if behind:
        unable = f"; {mended.error.message}" if mended.error else ""
        then = alone(plan, red.id, resumed=resumed)
        return _behind(run, plan, behind, f"{message}{unable}", then)
    if mended.error and (mended.judged or plan.situation.verdict.kind != "instant"):
        return unmended(run, mended.error, message, error)
    if unproved:
        smoke = f"changeover smoke --env {run.environment.name} shows what users get"
        return endings.mixed(run, message, unproved, hint=smoke)
    taken = _taken_back(run, plan)
    if taken.error:
        return endings.mixed(
            run, f"{message}, proved{taken.words}", taken.error, hint=taken.error.hint
        )
    lease.unlock(run.fleet, run.lease_hosts)
    return _back(run, plan, error, mended, taken.words)


def _taken_back(run: Run, plan: Plan) -> TakenBack:
    """Take back what tasks of the release did, where it has some."""
    if run.release is None or not run.release.runs:
        return TakenBack()
    return tasks_back.take_back(run, plan.situation.live_version)


def _unproved(run: Run, colour: str | None, hosts: Sequence[Host]) -> ChangeoverError | None:
    """Return why the colour that users were sent back to is not proved; ``None`` where it is.

    Raises:
        LeaseTaken: The lease is another's.
    """
    try:
        if colour is not None:
            retreat.prove(run, colour, hosts)
    except ChangeoverError as error:
        if refused := lease.taken(run.fleet, error):
            raise refused from error
        return error
    return None


def unmended(
    run: Run, why: ChangeoverError, message: str, error: ChangeoverError
) -> ChangeoverError:
    """End where users are on a version that may not be able to use the database.

    Args:
        run: The run.
        why: What stands in the way, with the price and the command.
        message: What was red, and who serves.
        error: What was red.
    """
    why.host = why.host or error.host
    why.cause = "\n".join(each for each in (error.cause, why.cause) if each)
    return endings.mixed(run, f"{message}; {why.message}", why, hint=why.hint)


def alone(plan: Plan, step: str, *, resumed: bool) -> str:
    """Say what a host does by itself that nobody reaches: one that was told to stay, stays."""
    before = plan.situation.live_version
    if before is None:
        return ""
    if step.startswith("canary-"):
        return f"; its clients go back to {before} by themselves within {RENEWED_SECONDS} s"
    seconds = back_alone_seconds(plan.situation)
    if step == "confirm" or resumed:
        return (
            f"; a host that heard the confirmation stays on {plan.version}, any other goes back to "
            f"{before} by itself within {seconds} s"
        )
    return f"; each host goes back to {before} by itself within {seconds} s"


def _behind(
    run: Run, plan: Plan, behind: dict[str, ChangeoverError], message: str, alone: str
) -> ChangeoverError:
    """End where some hosts did not go back: until they do, or take themselves back, all is mixed."""
    lost = endings.one_of(behind)
    name, version = run.environment.name, plan.situation.live_version
    again = f"changeover rollback --to {version}" if version else "changeover abort"
    return endings.mixed(
        run,
        f"{message}; not known to be back: {lost.host} ({lost.message}){alone}",
        lost,
        hint=f"keep users from {lost.host}; when it answers, {again} --env {name}",
    )


def _back(
    run: Run, plan: Plan, error: ChangeoverError, mended: Mended, tasks: str
) -> ChangeoverError:
    version = plan.situation.live_version
    if version is None:
        error.message = f"{error.message}; nothing was live before and nothing is{tasks}"
        run.end("failed", error.exit_code, error.message)
        return error
    stands = own_back.stands(run, version, plan.version)
    message = (
        f"{error.message}; rolled back: {version} serves again, proved{mended.words}{stands}{tasks}"
    )
    end = run.end("rolled-back", RolledBack.exit_code, message)
    return RolledBack(
        str(end["message"]),
        hint=f"changeover report {run.fleet.deployment} --env {run.environment.name}",
        host=error.host,
        cause=error.cause,
    )
