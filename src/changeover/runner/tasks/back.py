"""What a way back does about the tasks of the releases that are left: undone where they say how, else told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import ChangeoverError, CheckRed, InvalidInput, LockHeld
from changeover.executors import lease
from changeover.executors import task as tasks
from changeover.executors.task import Order
from changeover.release import lineage, load_release, versions
from changeover.runner import endings
from changeover.runner.tasks import hosts, ledger, working
from changeover.runner.tasks import step as task_step
from changeover.runner.tasks.taken import TakenBack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.executors.migrate import TaskRow
    from changeover.outcome import Outcome
    from changeover.release import Release, Task
    from changeover.runner.run import Run


class TasksStand(CheckRed):
    """What tasks did could not be taken back, or nobody can tell what they did."""


def owed(run: Run, version: str | None) -> bool:
    """Tell whether something is to be undone that a way back to a version left.

    Raises:
        ChangeoverError: The database does not answer.
    """
    releases, unread = _readable(run)
    if not unread and not _concerned(releases, version):
        return False
    return any(_undo(releases, each) for each in _standing(run, releases, version))


def take_back(
    run: Run,
    version: str | None,
    *,
    releases: Mapping[str, Release] | None = None,
    lost: Mapping[str, ChangeoverError] | None = None,
) -> TakenBack:
    """Undo what tasks of other releases did than those a version grew from, once users are on that one.

    What is red is told, and keeps nobody from where they are.

    Args:
        run: The run that goes back; it holds the lease.
        version: The version that users are on; ``None`` where nothing is live.
        releases: Every release, where they were read already.
        lost: The hosts that are known not to answer, and why.

    Raises:
        LeaseTaken: The lease is another's.
    """
    known, unread = _readable(run) if releases is None else (releases, False)
    sure = _concerned(known, version)
    if not sure and not unread:
        return TakenBack()
    try:
        _refuse_lost(run, lost or {})
        standing = _standing(run, known, version)
        silent = _ended(run, version, standing)
    except Exception as error:  # noqa: BLE001 - users are where they are to be, whatever cannot be told
        # A release that cannot be read may never have been here.
        return TakenBack(error=_unread(run, version, endings.known(error)) if sure else None)
    if silent is not None:
        return TakenBack(error=silent, unseen=True)
    return _undone(run, version, known, standing)


def _undone(
    run: Run,
    version: str | None,
    releases: Mapping[str, Release],
    standing: Sequence[TaskRow],
) -> TakenBack:
    undone: list[str] = []
    stays = tuple(
        f"what {each.id} {'did' if each.state == 'done' else 'may have done'} stays"
        for each in standing
        if each.release in releases and not _undo(releases, each)
    )
    for row in reversed(standing):
        if row.release not in releases:
            unread = TasksStand(
                f"what {row.id} did is not taken back: its release cannot be read here",
                hint=f"have release {row.release} in this checkout as it should be",
            )
            left = _not_undone(run, version, unread)
            return TakenBack(undone=tuple(undone), stays=stays, error=left)
        if _undo(releases, row) is None:
            continue
        try:
            each = _step(run, row)
            run.step(each, partial(undo, run, each), going_back=True)
        except Exception as error:
            failure = endings.known(error)
            if refused := lease.taken(run.fleet, failure):
                raise refused from error
            if isinstance(failure, LockHeld):
                raise lease.LeaseTaken(
                    failure.message, hint=failure.hint, host=failure.host
                ) from error
            failure.message = f"what {row.id} did is not taken back: {failure.message}"
            left = _not_undone(run, version, failure)
            return TakenBack(undone=tuple(undone), stays=stays, error=left)
        undone.append(row.id)
    return TakenBack(undone=tuple(undone), stays=stays)


def _readable(run: Run) -> tuple[Mapping[str, Release], bool]:
    """Return the releases that can be read, and whether one cannot: that keeps nobody from going back."""
    releases: dict[str, Release] = {}
    unread = False
    for each in versions(run.root, run.app.app):
        try:
            releases[each] = load_release(run.root, run.app.app, each)
        except InvalidInput:
            unread = True
    return releases, unread


def _concerned(releases: Mapping[str, Release], version: str | None) -> bool:
    """Tell whether a release that a version did not grow from runs tasks."""
    kept = _kept(releases, version)
    return any(release.runs for name, release in releases.items() if name not in kept)


def _refuse_lost(run: Run, lost: Mapping[str, ChangeoverError]) -> None:
    for host in run.environment.hosts_in("db"):
        if host.name in lost:
            raise lost[host.name]


def _ended(run: Run, version: str | None, standing: Sequence[TaskRow]) -> ChangeoverError | None:
    """End what runs on; return why it may run on all the same, on a host that does not answer."""
    running = [each for each in standing if each.state in task_step.UNDER_WAY]
    if not running:
        return None
    answers = tasks.end(run.fleet, run.app_hosts)
    for host, each in answers.replies.items():
        if each["task_end"].result["ended"]:
            says = f"{host}: ended {each['task_end'].result['was']}"
            run.note({"type": "note", "says": says})
    for row in running:
        error = answers.errors.get(row.host)
        if error is not None:
            back = f"rollback --to {version}" if version else "abort"
            name = run.environment.name
            return TasksStand(
                f"{row.id} may run on at {row.host}: {error.message}",
                hint=f"when {row.host} answers, changeover {back} --env {name} ends it and takes it back",
                host=row.host,
                cause=error.cause,
            )
    return None


def _kept(releases: Mapping[str, Release], version: str | None) -> set[str]:
    return set(lineage(releases, version)) if version and version in releases else set()


def _standing(run: Run, releases: Mapping[str, Release], version: str | None) -> list[TaskRow]:
    kept = _kept(releases, version)
    return [
        each for each in ledger.rows(run) if each.release not in kept and each.state != "undone"
    ]


def _undo(releases: Mapping[str, Release], row: TaskRow) -> Task | None:
    """Return the task where it says how it is undone."""
    release = releases.get(row.release)
    task = release.tasks.get(row.task) if release else None
    return task if task is not None and task.undo else None


def undo(run: Run, step: steps.UndoTask) -> Outcome:
    """Take back what a run of a release did, by the task's own command.

    Raises:
        TaskFailed, TaskHalfDone: It did not end well.
        TaskUnderWay: Another one runs.
        RunnerFenced: A newer deployment has taken over.
    """
    order = Order(colour=step.colour, task=step.task, what="undo", values=dict(step.values))
    host, given, _ = hosts.chosen(run, order, run.app_hosts)
    with ledger.turn(run) as turn:
        turn.undoing(step.version, step.run, run.fleet.deployment, host.name)
    ran = working.work(run, host, given)
    if not ran.well:
        raise working.failure(order, ran, again="the same way back")
    task_step.end(run, step.version, step.run, ran, "undone")
    return working.outcome(order, ran)


def _step(run: Run, row: TaskRow) -> steps.UndoTask:
    return steps.UndoTask(
        id=f"undo-{row.run}",
        hosts=tuple(host.name for host in run.app_hosts),
        colour=row.colour,
        version=row.release,
        task=row.task,
        run=row.run,
        values=tuple(row.given.items()),
    )


def _not_undone(run: Run, version: str | None, error: ChangeoverError) -> ChangeoverError:
    again = f"changeover rollback --to {version} --env {run.environment.name} tries it again"
    return TasksStand(
        error.message, hint=again if version else error.hint, host=error.host, cause=error.cause
    )


def _unread(run: Run, version: str | None, error: ChangeoverError) -> ChangeoverError:
    again = f"changeover rollback --to {version} --env {run.environment.name} takes it back"
    return TasksStand(
        f"what tasks of later releases did is not known: {error.message}",
        hint=f"make the database answer, then {again}" if version else error.hint,
        host=error.host,
        cause=error.cause,
    )
