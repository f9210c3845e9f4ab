"""The steps of tasks that are part of a release: what each would do is told first, where it can tell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from changeover import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.plan.situation import Situation, Target, TaskDue
    from changeover.steps.task import Point

WHEN = {
    "before_switch": "before users are sent to the new version; red, the deployment is taken back",
    "after_confirm": "once users are on the new version; red, that one stays and resume goes on",
}


def at(situation: Situation, target: Target, when: Point) -> list[steps.AnyStep]:
    """Return the steps of the tasks that belong to a point of the deployment."""
    sequence: list[steps.AnyStep] = []
    for due in situation.runs:
        if due.when != when:
            continue
        if due.dry_run:
            sequence.append(steps.TryTask(id=f"try-{due.run}", **_about(situation, target, due)))
        undo = f"its own undo: {shlex.join(due.undo)}" if due.undo else None
        about = _about(situation, target, due)
        sequence.append(steps.RunTask(id=f"task-{due.run}", undo=undo, **about))
    return sequence


def _about(situation: Situation, target: Target, due: TaskDue) -> steps.About:
    return {
        "guide": target.guided("task"),
        "hosts": situation.app_hosts,
        "colour": target.colour,
        "version": target.version,
        "task": due.task,
        "run": due.run,
        "when": due.when,
        "values": due.values,
    }


def words(situation: Situation) -> Iterator[str]:
    """Give the lines that tell which tasks a plan runs, when, and what becomes of what they do."""
    for due in situation.runs:
        yield f"task {due.run}: {due.summary}"
        yield f"  {WHEN[due.when]}"
        yield f"  command  {shlex.join(due.command)}"
        yield f"  dry run  {shlex.join(due.dry_run) or 'none'}"
        yield f"  undo     {shlex.join(due.undo) or 'none: what it does stays on a way back'}"
        yield f"  each is ended after {due.deadline_seconds} s"
