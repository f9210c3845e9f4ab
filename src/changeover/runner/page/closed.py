"""A deployment behind a page of maintenance: what is kept while nobody writes, and the way back from there.

The old version does not run beside the new one, so it is started again only once the new one is
stopped and the database is what it was. Users get the page until it is proved.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import ChangeoverError, CheckRed, RolledBack
from changeover.executors import backup as backups
from changeover.executors import lease, migrate, operate
from changeover.outcome import Outcome
from changeover.plan.behind_page import RETRY_AFTER_SECONDS, StartAgain, closed
from changeover.plan.order import ROLLBACK_CLOSING_SECONDS, START_SECONDS
from changeover.release import load_releases
from changeover.runner import database, endings
from changeover.runner.back import retreat, withdrawal
from changeover.runner.deployment import draining, forecast, safety
from changeover.runner.fleet import survey
from changeover.runner.own import back as own_back
from changeover.runner.page import everywhere
from changeover.runner.undo import judgement as undoing
from changeover.runner.undo.unasked import mend

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.inventory import Host
    from changeover.plan.order import Plan
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run

STOP_SECONDS = 5
SWITCHED = ("switch", "smoke", "confirm")


class NothingKept(CheckRed):
    """What an own migrator changed can only be brought back by a backup, and there is none."""


def kept(deployment: str) -> str:
    """Return the id of the backup that a deployment takes while nobody writes."""
    return f"{deployment}-quiet"


def backup(run: Run, step: steps.Backup) -> Outcome:
    """Take a second backup where it is the way back: what users wrote since the first is in it."""
    releases = load_releases(run.root, run.app.app)
    if forecast.goes_back_alone(run, releases, step.version):
        return Outcome(
            says="not needed: the old version can use what is there, or it is undone", changed=False
        )
    if _begun(run, step.version):
        return Outcome(
            says="the migrations were begun before: the one from then holds", changed=False
        )
    return safety.backup(run, step, name=kept(run.fleet.deployment))


def _begun(run: Run, before: str) -> bool:
    """Tell whether something of the new version has run: a backup taken now would not be from before."""
    release = run.release
    if release is None:
        return False
    releases = load_releases(run.root, run.app.app)
    between = undoing.later(releases, release.version, before)
    with database.owner_database(run.environment, run.app) as place:
        ran = migrate.standing(place)
    if any(row.release in between for row in ran):
        return True
    return bool(own_back.stood(run.environment, run.app, releases, before, release.version))


def shown_by(states: Iterable[HostState]) -> str | None:
    """Return the deployment that shows the page on some host; ``None`` where none does."""
    wishes = [(state.maintenance or {}).get("deployment") for state in states]
    return next((str(wish["deployment"]) for wish in wishes if wish), None)


def behind(run: Run, plan: Plan, red: steps.AnyStep, *, resumed: bool, leased: bool) -> bool:
    """Tell whether a deployment of this strategy has begun to show users the page.

    Args:
        run: The run.
        plan: Its plan.
        red: The step that is red.
        resumed: Whether an earlier run of the deployment came before, and may have shown it.
        leased: Whether the lease is held; without one nothing is touched, whoever answers.

    Raises:
        ChangeoverError: No app host answers, and users may get the page.
    """
    reached = plan.steps[: plan.steps.index(red) + 1]
    begun = resumed or any(isinstance(step, steps.MaintenanceOn) for step in reached)
    if not closed(plan.situation) or not begun:
        return False
    try:
        return shown_by(survey.look(run.fleet, run.app_hosts).apps) is not None
    except ChangeoverError:
        if leased:
            raise
        return False


def reopen(
    run: Run, goal: tuple[str, str] | None, left: Sequence[str], version: str, deployment: str
) -> str:
    """Bring users back to the old version with its database, prove it, and take the page away.

    Args:
        run: The run; it holds the lease.
        goal: The old colour and its version; ``None`` where none was live.
        left: The colours that the deployment started.
        version: The version that is left.
        deployment: The deployment that showed the page.

    Returns:
        What became of the database, as the end of a sentence.

    Raises:
        ChangeoverError: Something of it was red; users get the page.
    """
    hosts = run.app_hosts
    if run.tester is None:
        _let_in(run, f"deploy {version}", deployment)
    for colour in left:
        draining.stop(run, hosts, colour, STOP_SECONDS, shut=True).check()
    own_back.end(run, hosts)
    words = ""
    if goal is not None:
        colour, before = goal
        words = _mend(run, before, version, deployment)
        names = tuple(host.name for host in hosts)
        start = StartAgain(id="start-old", hosts=names, colour=colour, seconds=START_SECONDS)
        run.step(start, partial(operate.start, run.fleet, hosts, start), going_back=True)
    _revert(run, goal[0] if goal else None, hosts)
    if goal is not None:
        retreat.prove(run, goal[0], hosts)
    off = steps.MaintenanceOff(
        id="maintenance-off", hosts=tuple(host.name for host in hosts), wanted="deployment"
    )
    run.step(off, partial(everywhere.hide, run, off), going_back=True)
    return words


def _let_in(run: Run, reason: str, deployment: str) -> None:
    """Draw a token for the checks of a run that did not show the page itself."""
    step = steps.MaintenanceOn(
        id="maintenance-on",
        hosts=tuple(host.name for host in run.app_hosts),
        wanted="deployment",
        reason=reason,
        retry_after=RETRY_AFTER_SECONDS,
    )
    run.step(step, partial(everywhere.show, run, step, of=deployment), going_back=True)


def _revert(run: Run, colour: str | None, hosts: Sequence[Host]) -> None:
    step = steps.Revert(
        id="revert",
        hosts=tuple(host.name for host in hosts),
        colour=colour,
        closing_seconds=ROLLBACK_CLOSING_SECONDS,
    )
    behind_ = retreat.send(run, step, hosts)
    if behind_:
        raise endings.one_of(behind_)


def _mend(run: Run, before: str, version: str, deployment: str) -> str:
    """Give the old version its database back: by an undo, or by the backup since which nobody wrote."""
    releases = load_releases(run.root, run.app.app)
    if database.database_host(run.environment, run.app) is None:
        return ""
    why: ChangeoverError = NothingKept(
        f"the own migrator of {version} ran, and no backup from before it is there",
        hint=f"changeover backup list --env {run.environment.name} shows those that are",
    )
    if not own_back.stood(run.environment, run.app, releases, before, version):
        mended = mend(run, before, version)
        if mended.error is None:
            return mended.words
        why = mended.error
        if not mended.judged:
            raise why
    name = kept(deployment)
    if name not in {each.backup for each in backups.list_(backups.vault_of(run.fleet)).backups}:
        raise why
    hosts = tuple(host.name for host in run.environment.hosts_in("db"))
    step = steps.RestoreDatabase(id="restore", hosts=hosts, backup=name)
    run.step(step, partial(safety.restore, run, step), going_back=True)
    return f"; the database is that of {name}, since which no user wrote"


def take_back(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, leased: bool
) -> ChangeoverError:
    """Take a deployment behind its page back, and return the error that the user is told.

    Without a lease, nothing is touched.

    Raises:
        LeaseTaken: The lease is another's.
    """
    found, name = plan.situation, run.environment.name
    goal = (found.live, found.live_version) if found.live and found.live_version else None
    if not leased:
        message = f"{error.message}; nothing was changed, and users get the page of maintenance"
        error.hint = f"{error.hint}; changeover resume --env {name} goes on, abort takes it back"
        error.message = str(run.end("failed", error.exit_code, message)["message"])
        return error
    placed = [state.placed for state in survey.look(run.fleet, run.app_hosts).apps]
    left = [plan.colour] if all(plan.colour in each for each in placed) else []
    try:
        words = reopen(run, goal, left, plan.version, run.fleet.deployment)
    except Exception as second:
        failure = endings.known(second)
        if refused := lease.taken(run.fleet, failure):
            raise refused from second
        message = (
            f"{red.id}: {error.message}; {found.live_version} does not serve again, users get the page:"
            f" {failure.message}"
        )
        hint = f"changeover abort --env {name} goes on with going back"
        return endings.mixed(run, message, failure, hint=hint, goes_on=True)
    withdrawal.let_go(run, withdrawal.halves(run, error))
    if red.id not in SWITCHED:
        message = f"{red.id}: {error.message}; {found.live_version} serves again, proved{words}"
        error.message = str(run.end("failed", error.exit_code, message)["message"])
        return error
    message = f"{error.message}; rolled back: {found.live_version} serves again, proved{words}"
    end = run.end("rolled-back", RolledBack.exit_code, message)
    hint = f"changeover report {run.fleet.deployment} --env {name}"
    return RolledBack(str(end["message"]), hint=hint, host=error.host, cause=error.cause)
