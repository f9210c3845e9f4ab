"""A task as a person runs it: found in what is live, its values checked, then once on one app host."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from changeover import steps
from changeover.colour import version_of
from changeover.document import suggestion
from changeover.errors import Interrupted, InvalidInput
from changeover.executors.task import Order
from changeover.runner import by_hand
from changeover.runner.fleet import agreement, away, survey
from changeover.runner.tasks import hosts, working

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.executors.task import What
    from changeover.inventory import Host
    from changeover.outcome import Outcome
    from changeover.release import Release, Task
    from changeover.runner.context import Context
    from changeover.runner.run import Run

OPTIONS: Mapping[What, tuple[str, ...]] = {
    "command": (),
    "dry_run": ("--dry-run",),
    "undo": ("--undo",),
}
KINDS: Mapping[What, type[steps.RunTask | steps.TryTask | steps.UndoTask]] = {
    "command": steps.RunTask,
    "dry_run": steps.TryTask,
    "undo": steps.UndoTask,
}
IDS = {"command": "task", "dry_run": "dry-run", "undo": "undo"}


class TaskUnknown(InvalidInput):
    """What is live has no such task."""


class ValuesUnfit(InvalidInput):
    """A task was given values that it does not take, or lacks some."""


class NothingLive(InvalidInput):
    """No version is live, whose tasks could be run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was typed.

    Args:
        task: The task.
        values: Its values by name.
        what: Which of its commands is meant.
    """

    task: str
    values: Mapping[str, str]
    what: What = "command"

    def again(self, environment: str) -> str:
        """Return the same as it would be typed."""
        sets = [
            word for name, value in self.values.items() for word in ("--set", f"{name}={value}")
        ]
        option = OPTIONS[self.what]
        return shlex.join(
            ["changeover", "task", "run", self.task, *sets, *option, "--env", environment]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A task of what is live, ready to be run.

    Args:
        asked: What was typed.
        order: What a host is asked.
        task: What the release declares of it.
        without: The app hosts that do not answer.
    """

    asked: Asked
    order: Order
    task: Task
    without: frozenset[str]

    @property
    def words(self) -> str:
        """Return its command with the values in it, as one would type it."""
        return shlex.join(self.task.arguments(self.order.what, self.order.values))


def live(context: Context) -> tuple[Release, str, frozenset[str]]:
    """Return the release that is live, its colour, and the app hosts that do not answer.

    Raises:
        NothingLive: No version is.
        VersionUnknown: This checkout does not have it.
        LockHeld: A deployment is under way.
        Mixed: The app hosts disagree.
    """
    run = context.run()
    run.leave_out(dict.fromkeys(survey.fenced(run.fleet, run.environment.balancers), away.FENCED))
    seen = survey.look(run.fleet, run.app_hosts)
    run.fleet.close()
    name = context.environment.name
    colour = agreement.settled(seen.apps, name)
    if colour is None:
        raise NothingLive(
            f"nothing of {context.app} is live yet, so there is no task to run",
            hint=f"changeover deploy VERSION --env {name}",
        )
    return context.release(version_of(colour)), colour, frozenset(seen.lost)


def find(context: Context, asked: Asked) -> Found:
    """Find a task in what is live, and check its values; nothing is touched.

    Raises:
        TaskUnknown: There is none of that name, or it has no such command.
        ValuesUnfit: A value is not known, missing, or not what it has to be; all are named.
        ChangeoverError: What is live cannot be told.
    """
    release, colour, without = live(context)
    task = release.tasks.get(asked.task)
    name = context.environment.name
    if task is None:
        known = ", ".join(release.tasks) or "none"
        raise TaskUnknown(
            f"{release.version} has no task {asked.task}{suggestion(asked.task, release.tasks)};"
            f" it has: {known}",
            hint=f"changeover task list --env {name}",
        )
    if not task.words(asked.what):
        raise TaskUnknown(
            f"{asked.task} of {release.version} has no {asked.what.replace('_', ' ')}",
            hint=f"changeover task list --env {name} shows what it has",
        )
    values, problems = task.values_of(asked.values)
    if problems:
        raise ValuesUnfit(
            f"{asked.task} cannot be run so: {'; '.join(problems)}",
            hint=f"changeover task list --env {name} shows what it takes; each is given as"
            " --set NAME=VALUE",
        )
    order = Order(
        colour=colour,
        task=asked.task,
        what=asked.what,
        values=values,
    )
    return Found(asked=asked, order=order, task=task, without=without)


def run(context: Context, found: Found) -> Outcome:
    """Run it on one app host, under the lease, and return what it did.

    Raises:
        LockHeld: A deployment, or another hand, holds the lease; or another task runs.
        TaskFailed, TaskHalfDone: It did not end well.
        Interrupted: A person or the machine stopped waiting for it; it runs on.
    """
    asked, order = found.asked, found.order
    again = asked.again(context.environment.name)
    command = " ".join(["task run", *OPTIONS[asked.what]])
    hint = f"it runs on by itself: {again} follows it"
    try:
        with by_hand.leased(
            context, command, asked.task, hint=hint, without=found.without
        ) as leased:
            able = [each for each in leased.app_hosts if each.name not in found.without]
            return _step(leased, able, found, again)
    except Interrupted as error:
        error.message = (
            f"{error.message}: {working.said(order)} runs on by itself where it had begun"
        )
        raise


def _step(run: Run, able: Sequence[Host], found: Found, again: str) -> Outcome:
    order = found.order
    host, given, _ = hosts.chosen(run, order, able)
    step = KINDS[order.what](
        id=IDS[order.what],
        hosts=(host.name,),
        colour=order.colour,
        version=version_of(order.colour),
        task=order.task,
        values=tuple(order.values.items()),
    )
    return run.step(step, partial(_act, run, host, given, again))


def _act(run: Run, host: Host, order: Order, again: str) -> Outcome:
    ran = working.work(run, host, order)
    if not ran.well:
        raise working.failure(order, ran, again=again)
    return working.outcome(order, ran)
