"""Deploy: walk a plan to its end, or take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps, verdict
from changeover.plan.order import LEASE_SECONDS
from changeover.release import load_releases
from changeover.runner import endings
from changeover.runner.back import recovery
from changeover.runner.backups import restore_price
from changeover.runner.deployment.apply import apply
from changeover.runner.fleet import agreement, away, survey
from changeover.runner.own import back as own_back
from changeover.runner.page import everywhere
from changeover.runner.tasks import declared as tasks_declared
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.errors import ChangeoverError
    from changeover.plan.order import Plan
    from changeover.release import Release
    from changeover.runner.run import Event, Run
    from changeover.verdict import Verdict


def walk(run: Run, plan: Plan, *, steal: bool = False) -> Event:
    """Apply every step of a plan in order and return the event that ends the run.

    Raises:
        ChangeoverError: A step was red; its exit code says what serves now.
        Mixed: It is confirmed, and no app host answers any more.
        Interrupted: A person or the machine stopped the run.
    """
    names = [step.id for step in plan.steps]
    price = restore_price.facts(plan.situation)
    known = {"plan": plan.digest, "steps": names, "resumed": steal, **price}
    run.begin("deploy", plan.situation.live, plan.colour, **known)
    with run.holding(run.lease_hosts):
        for step in plan.steps:
            try:
                _persistently(run, plan, step, steal=steal)
            except KeyboardInterrupt as error:
                raise recovery.interrupted(run, plan, step.id, resumed=steal) from error
            except Exception as error:
                failure = endings.known(error)
                raise _recovered(run, plan, step, failure, resumed=steal) from error
    lost = survey.silent(run.fleet, run.app_hosts) if _held(run) else {}
    if lost:
        raise _unanswered(run, plan, lost)
    found = _verdict(run, plan)
    message = f"{plan.version} serves; the way back: {found.kind}: {found.because}"
    return run.end("done", 0, message)


def _held(run: Run) -> bool:
    """Tell whether no app host gave its lease back."""
    return all(host.name in run.fleet.fences for host in run.app_hosts)


def _unanswered(run: Run, plan: Plan, lost: Mapping[str, ChangeoverError]) -> ChangeoverError:
    """End a deployment that is confirmed where no app host answers any more."""
    error, name = endings.one_of(lost), run.environment.name
    message = (
        f"{plan.version} is confirmed, and no app host answers any more: nobody knows what users get"
        f" ({error.message}); a boot brings {plan.version} back"
    )
    hint = (
        f"when {error.host} answers, changeover resume --env {name} ends it, "
        f"changeover rollback --env {name} takes it back"
    )
    return endings.mixed(run, message, error, hint=hint, goes_on=True)


def _persistently(run: Run, plan: Plan, step: steps.AnyStep, *, steal: bool) -> None:
    """Do a step; where it is red since app hosts are gone, again without them, if the policy says so."""
    planned = {each.host for each in plan.situation.skipped}
    while True:
        try:
            _one(run, plan, step, steal=steal)
            if isinstance(step, steps.Lock):
                away.keep_users_from(run, sorted(run.left_out.keys() - planned))
        except Exception as error:
            if not away.left_behind(run, plan.situation, step, endings.known(error)):
                raise
        else:
            return


def _verdict(run: Run, plan: Plan) -> Verdict:
    """Return what going back costs from here; the rehearsal may have proved more than was known."""
    planned = plan.situation.verdict
    try:
        planned = own_back.after_run(run, plan.situation.live_version, planned)
        if plan.situation.own or planned.kind not in {"revert", "restore"}:
            return planned
        releases = load_releases(run.root, run.app.app)
        between = undoing.later(releases, plan.version, plan.situation.live_version)
        found = undoing.judge(run, plan.version, between)
        # The ledger of migrations does not know of an own migrator that ran before.
        if found.kind == "instant" and _own_stood(run, plan, releases):
            return planned
        tasks = tasks_declared.facts(releases, plan.version, plan.situation.live_version)
        found = verdict.beside_tasks(found, tasks)
    except Exception:  # noqa: BLE001 - the version serves and is confirmed, whatever cannot be told
        return planned
    return found


def _own_stood(run: Run, plan: Plan, releases: Mapping[str, Release]) -> bool:
    before = plan.situation.live_version
    return before is None or bool(
        own_back.stood(run.environment, run.app, releases, before, plan.version)
    )


def _one(run: Run, plan: Plan, step: steps.AnyStep, *, steal: bool) -> None:
    if isinstance(step, steps.Drain | steps.Unlock):
        _told(run, step)
        return
    run.step(step, lambda: apply(run, step, steal=steal))
    if isinstance(step, steps.Lock) and not steal:
        again = f"changeover plan {plan.version} --env {run.environment.name}"
        agreement.refuse_overtaken(run.fleet, run.app_hosts, plan.situation.live, hint=again)
    if isinstance(step, steps.Lock) and plan.situation.page:
        everywhere.join(run)


def _recovered(
    run: Run, plan: Plan, red: steps.AnyStep, error: ChangeoverError, *, resumed: bool
) -> ChangeoverError:
    try:
        return recovery.recover(run, plan, red, error, resumed=resumed)
    except KeyboardInterrupt:
        return recovery.interrupted(run, plan, red.id, resumed=resumed, going_back=True)
    except Exception as second:  # noqa: BLE001 - whatever it is, users may be on either version now
        return endings.gave_up(run, error, endings.known(second))


def _told(run: Run, step: steps.Drain | steps.Unlock) -> None:
    """Do what comes after the confirmation; where it is red, it is told and undoes nothing."""
    try:
        run.step(step, lambda: apply(run, step))
    except Exception as error:  # noqa: BLE001 - nothing is worth taking a confirmed version back
        lost = (
            f"{step.colour} is not warm for a rollback"
            if isinstance(step, steps.Drain)
            else f"the lease ends by itself within {LEASE_SECONDS} s"
        )
        why = endings.known(error).message
        run.note({"type": "warning", "says": f"warning: {lost}: {why}"})
