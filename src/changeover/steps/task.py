"""The step kinds of tasks: work of the app itself, tried, done and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypedDict

from changeover.steps.step import Step

Point = Literal["before_switch", "after_confirm", "by_hand"]


class About(TypedDict):
    """What the steps of one task have in common."""

    guide: tuple[str, ...]
    hosts: tuple[str, ...]
    colour: str
    version: str
    task: str
    run: str
    when: Point
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Step):
    """One command of a task.

    Args:
        colour: The colour whose bundle declares it.
        version: Its version.
        task: The task.
        run: What the release calls this run of it; empty where a person runs it.
        when: The point of a deployment that it belongs to.
        values: The values that it is given.
    """

    colour: str
    version: str
    task: str
    run: str = ""
    when: Point = "by_hand"
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TryTask(Work):
    """Have a task tell what it would do."""

    kind: ClassVar[str] = "task"
    says: ClassVar[str] = "have a task of the app tell what it would do; nothing is written"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTask(Work):
    """Run a task of the app on one app host."""

    kind: ClassVar[str] = "task"
    says: ClassVar[str] = "run a task of the app"


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoTask(Work):
    """Take back what a task did, by its own command."""

    kind: ClassVar[str] = "task"
    says: ClassVar[str] = "take back what a task of the app did"
