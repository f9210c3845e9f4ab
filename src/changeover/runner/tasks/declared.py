"""The tasks that a release runs on its way: what is due of them, and what a way back does about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import verdict
from changeover.executors import migrate
from changeover.plan.situation import TaskDue
from changeover.release import versions_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from changeover.database import Database
    from changeover.executors.migrate import TaskRow
    from changeover.release import Release, TaskRun


def due(release: Release, place: Database) -> tuple[TaskDue, ...]:
    """Return the tasks of a release that were not done for it with these values yet."""
    if not release.runs:
        return ()
    done = {(each.release, each.run): each for each in migrate.task_rows(place)}
    return tuple(
        _due(release, each)
        for each in release.runs
        if not stands(done.get((release.version, each.name)), each.task, values(release, each))
    )


def stands(row: TaskRow | None, task: str, given: Mapping[str, str]) -> bool:
    """Tell whether the ledger says that exactly this was done."""
    return (
        row is not None
        and row.state == "done"
        and (row.task, dict(row.given)) == (task, dict(given))
    )


def values(release: Release, run: TaskRun) -> dict[str, str]:
    """Return the values that a release runs a task with, as its program gets them."""
    return release.tasks[run.task].values_of(run.values)[0]


def _due(release: Release, run: TaskRun) -> TaskDue:
    task, given = release.tasks[run.task], values(release, run)
    return TaskDue(
        run=run.name,
        task=run.task,
        summary=task.summary,
        when=run.when,
        values=tuple(given.items()),
        command=task.arguments("command", given),
        dry_run=task.arguments("dry_run", given),
        undo=task.arguments("undo", given),
        deadline_seconds=task.deadline_seconds,
    )


def facts(
    releases: Mapping[str, Release], version: str, before: str | None
) -> tuple[verdict.TaskFact, ...]:
    """Return what a verdict on the way back from a version to an older one has to know of tasks."""
    return tuple(
        verdict.TaskFact(
            id=f"{name}/{run.name}", undo=releases[name].tasks[run.task].undo is not None
        )
        for name in versions_between(releases, version, before)
        for run in releases[name].runs
    )


def passed_over(releases: Mapping[str, Release], version: str, before: str | None) -> Iterator[str]:
    """Say which tasks of releases between are not run, since those are skipped."""
    for name in versions_between(releases, version, before)[:-1] if before else ():
        for run in releases[name].runs:
            yield f"{name} is skipped, and its task {run.name} is not run"
