"""A task as a release runs it: tried, then done once, by what the ledger and the hosts know of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from changeover.errors import CheckRed
from changeover.executors import task as tasks
from changeover.executors.migrate import TaskBegun, TaskEnded
from changeover.executors.task import Order
from changeover.outcome import Outcome
from changeover.runner.tasks import declared, hosts, ledger, working

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.migrate import TaskRow, TaskState
    from changeover.executors.task import Left
    from changeover.inventory import Host
    from changeover.outcome import Ran
    from changeover.runner.run import Run
    from changeover.steps import RunTask, TryTask, Work

UNDER_WAY = {"running", "undoing"}


class TaskUnseen(CheckRed):
    """A task was begun on a host that does not answer: nobody knows whether it runs on there."""


def attempt(run: Run, step: TryTask) -> Outcome:
    """Have a task tell what it would do; what was done before is not tried again.

    Raises:
        TaskFailed: It foretells that it would fail.
    """
    order = _order(step)
    if _done(run, step):
        return Outcome(says=f"{step.version}/{step.run} was done before", changed=False)
    host, given, _ = hosts.chosen(run, order, run.app_hosts)
    ran = working.work(run, host, replace(given, what="dry_run"))
    if not ran.well:
        raise working.failure(replace(order, what="dry_run"), ran, again=_again(run, step))
    return working.outcome(replace(order, what="dry_run"), ran)


def do(run: Run, step: RunTask) -> Outcome:
    """Do a task once: what is done is found, what is under way is followed to its end.

    Raises:
        TaskFailed, TaskHalfDone: It did not end well.
        TaskUnderWay: Another one runs.
        TaskUnseen: It may run on a host that does not answer.
        RunnerFenced: A newer deployment has taken over.
    """
    order, known = _order(step), _row(run, step)
    if declared.stands(known, step.task, order.values):
        return Outcome(says=f"{step.version}/{step.run} was done before", changed=False)
    host, given, said = hosts.chosen(run, order, run.app_hosts)
    if known is not None and known.state in UNDER_WAY:
        host, given = met(run, known, host, given, said)
    with ledger.turn(run) as turn:
        turn.begin(
            TaskBegun(
                release=step.version,
                run=step.run,
                task=step.task,
                given=order.values,
                colour=step.colour,
                deployment=run.fleet.deployment,
                host=host.name,
            )
        )
    ran = working.work(run, host, given)
    end(run, step.version, step.run, ran, "done" if ran.well else state_of(ran))
    if not ran.well:
        raise working.failure(order, ran, again=_again(run, step))
    return working.outcome(order, ran)


def state_of(ran: Ran) -> TaskState:
    """Return what the ledger calls an end that was not well."""
    return "half done" if ran.exit == tasks.HALF_WAY else "failed"


def end(run: Run, release: str, name: str, ran: Ran, state: TaskState) -> None:
    """Write into the ledger how a run of a release ended.

    Raises:
        RunnerFenced: A newer deployment has taken over.
    """
    with ledger.turn(run) as turn:
        turn.end(
            release,
            name,
            TaskEnded(state=state, exit=ran.exit, seconds=ran.seconds, answer=tasks.answer(ran)),
        )


def _order(step: Work) -> Order:
    return Order(colour=step.colour, task=step.task, what="command", values=dict(step.values))


def _row(run: Run, step: Work) -> TaskRow | None:
    known = {(each.release, each.run): each for each in ledger.rows(run)}
    return known.get((step.version, step.run))


def _done(run: Run, step: Work) -> bool:
    return declared.stands(_row(run, step), step.task, dict(step.values))


def met(
    run: Run, known: TaskRow, host: Host, given: Order, said: Mapping[str, Left]
) -> tuple[Host, Order]:
    """Go to the host where an earlier run began it, whose end may stand there.

    Args:
        run: The run.
        known: What the ledger knows of that earlier run.
        host: The host that would be taken otherwise.
        given: What it would be asked.
        said: What every host said was left on it.

    Raises:
        TaskUnseen: It does not answer.
    """
    if given.follows:
        return host, given
    if known.host not in {each.name for each in run.app_hosts}:
        return host, given  # it was taken out of the inventory
    if known.host not in said:
        raise TaskUnseen(
            f"{known.id} was begun on {known.host} by deployment {known.deployment}, and that host"
            " does not answer: nobody knows whether it runs on",
            hint=f"start {known.host}, or take it out of the inventory where it never comes back;"
            " then the same command again",
            host=known.host,
        )
    ended = said[known.host].ended_well(given, known.deployment)
    follows = known.deployment if ended else ""
    return run.environment.host(known.host), replace(given, follows=follows)


def _again(run: Run, step: Work) -> str:
    name = run.environment.name
    if step.when == "after_confirm":
        return f"changeover resume --env {name}"
    return f"changeover deploy {step.version} --env {name}"
