"""Finalize: a proved backup, the contract migrations, and the old colours removed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover import steps, verdict
from changeover.colour import version_of
from changeover.errors import ChangeoverError, InvalidInput
from changeover.executors import lease, migrate, operate
from changeover.plan import finalization
from changeover.plan.situation import Situation
from changeover.runner import database, endings
from changeover.runner.back import withdrawal
from changeover.runner.backups import restore_price
from changeover.runner.deployment import bake, forecast
from changeover.runner.deployment.apply import apply
from changeover.runner.deployment.stages import Stage
from changeover.runner.fleet import agreement, away, survey
from changeover.runner.rehearse import second_opinion
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from changeover.migrations.records import Migration, Phase
    from changeover.outcome import Outcome
    from changeover.plan.order import Plan
    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Event, Run


CONTRACT: tuple[Phase, ...] = ("contract",)
EARLY = "finalize early: "


class NothingToFinalize(InvalidInput):
    """No version is live."""


def prepare(context: Context, *, early: str | None = None) -> Stage:
    """Ask what is live, what is pending in the contract phase, and plan the end of the bake window.

    Args:
        context: What the verb works with.
        early: Why the bake window is ended before its time; ``None`` waits for it.

    Raises:
        BakeWindowOpen: It is not over, and nobody said why it should be.
        NothingToFinalize: Nothing is live yet.
        Unconfirmed: A deployment ended half way.
        Mixed: The app hosts disagree on what is live.
    """
    run = context.run()
    away.refuse_behind(run, "finalize takes away what its version may need")
    states = survey.host_states(run.fleet, run.lease_hosts)
    name = context.environment.name
    live = agreement.settled(states.values(), name)
    if live is None:
        raise NothingToFinalize(
            "nothing is live yet", hint=f"changeover deploy VERSION --env {name}"
        )
    version = version_of(live)
    run.release = context.release(version)
    if early is None and not _contract_begun(run, states.values(), live):
        bake.refuse_open(bake.window(context.environment, run.release, states.values()), name)
    old = {colour for state in states.values() for colour in state.placed} - {live}
    host = database.database_host(run.environment, run.app)
    due = _Due() if host is None else _due(context, run, version)
    situation = Situation(
        environment=name,
        app=context.app,
        live=live,
        live_version=version,
        app_hosts=tuple(each.name for each in run.app_hosts),
        all_hosts=tuple(each.name for each in run.lease_hosts),
        database_hosts=() if host is None else (host.name,),
        pending=tuple(each.id for each in due.migrations),
        checks=tuple(forecast.checks_of(due.migrations)),
        advice=due.advice,
        verdict=verdict.judge(due.facts),
    )
    reason = "finalize" if early is None else f"{EARLY}{early}"
    priced = restore_price.priced(run, situation)
    plan = finalization.finalize(priced, tuple(sorted(old)), reason)
    return Stage(run=run, plan=plan)


def _contract_begun(run: Run, states: Iterable[HostState], live: str) -> bool:
    """Tell whether a finalize of the live colour began its contract migrations, and they stand.

    What the window kept is gone by then, and what is left is to be ended.
    """
    if not any(live in state.contracted for state in states):
        return False
    if database.database_host(run.environment, run.app) is None:
        return False
    with database.owner_database(run.environment, run.app) as place:
        rows = migrate.standing(place)
    return any((row.release, row.phase) == (version_of(live), "contract") for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """The contract migrations that are pending, what squawk says of them, and what the way back meets."""

    migrations: tuple[Migration, ...] = ()
    advice: tuple[str, ...] = ()
    facts: tuple[verdict.MigrationFact, ...] = ()


def _due(context: Context, run: Run, version: str) -> _Due:
    folders = database.migration_folders(context.releases, version)
    with database.owner_database(run.environment, run.app) as place:
        database.exceed(run, migrate.fence(place))
        ran, known = migrate.standing(place), migrate.recall(place)
        due = [(folder, migrate.pending(place, folder, CONTRACT)) for folder in folders]
        met = [
            each
            for folder, found in due
            if found
            for each in migrate.preview(place, folder, CONTRACT)
        ]
    pending = [each for _, found in due for each in found]
    between = {each.release for each in pending}
    return _Due(
        migrations=tuple(pending),
        advice=second_opinion.opinion(pending, known.exactly(pending), met),
        facts=undoing.ahead(ran, pending, folders, known, between) if pending else (),
    )


def words(stage: Stage) -> str:
    """Say what finalizing does and what it costs."""
    found = stage.plan.situation
    lines = [f"finalize {found.app} {found.live} on {found.environment}"]
    lines += [f"  {step.id:<10} {step.says}" for step in stage.plan.steps]
    lines += [f"  contract: {name}" for name in found.pending]
    lines += [f"  data check: {check}" for check in found.checks]
    lines += [f"  {line}" for line in found.advice]
    lines.append("  afterwards rollback no longer is a rename: the old colours are gone")
    if found.pending:
        lines.append(f"  way back: {found.verdict.kind}: {found.verdict.because}")
        lines += [f"    {line}" for line in (found.price.ahead("finalize") if found.price else ())]
    return "\n".join(lines)


def walk(stage: Stage) -> Event:
    """Walk the plan.

    Raises:
        ChangeoverError: A step was red; the live version serves all the while.
    """
    run, plan = stage.run, stage.plan
    names = [step.id for step in plan.steps]
    live, reason = plan.situation.live, next(_reasons(plan))
    price = restore_price.facts(plan.situation)
    run.begin("finalize", live, live, steps=names, reason=reason, **price)
    with run.holding(run.lease_hosts):
        for step in plan.steps:
            try:
                _step(stage, step)
            except KeyboardInterrupt as error:
                raise _interrupted(run, plan, step) from error
            except ChangeoverError as error:
                raise _failed(run, plan, step, error) from error
            except Exception as error:
                failure = endings.unexpected(error)
                raise _failed(run, plan, step, failure) from error
    return run.end("done", 0, f"{plan.version} is final{_way_back(run, plan)}")


def _reasons(plan: Plan) -> Iterator[str]:
    """Give what the lease is taken for; with it stands why the bake window ends early."""
    return (step.reason for step in plan.steps if isinstance(step, steps.Lock))


def _way_back(run: Run, plan: Plan) -> str:
    """Say what going back costs from here, by what the rehearsal has proved by now."""
    if not plan.situation.pending:
        return ""
    try:
        between = {name.partition("/")[0] for name in plan.situation.pending}
        found = undoing.judge(run, plan.version, between)
    except Exception as error:  # noqa: BLE001 - what cannot be taken back is done
        return f"; the way back cannot be told: {endings.known(error).message}"
    return f"; the way back: {found.kind}: {found.because}"


def _step(stage: Stage, step: steps.AnyStep) -> None:
    run, plan = stage.run, stage.plan
    run.step(step, lambda: _act(run, plan, step))
    if isinstance(step, steps.Lock):
        again = f"changeover status --env {run.environment.name}"
        agreement.refuse_overtaken(run.fleet, run.app_hosts, plan.situation.live, hint=again)


def _act(run: Run, plan: Plan, step: steps.AnyStep) -> Outcome:
    if isinstance(step, steps.Migrate):
        # Whoever goes back has to know it where the database cannot be asked any more.
        operate.contract_begins(run.fleet, run.app_hosts, plan.colour)
    # What cannot be taken back is told to its end, whatever becomes of the journal.
    run.unstoppable |= step.final
    return apply(run, step)


def _interrupted(run: Run, plan: Plan, step: steps.AnyStep) -> ChangeoverError:
    run.unstoppable = True
    return endings.interrupted(
        run,
        f"interrupted at {step.id}: {plan.version} serves all the while",
        hint=_again(run, plan),
        free=True,
    )


def _again(run: Run, plan: Plan) -> str:
    why = next(_reasons(plan)).partition(EARLY)[2]
    early = f"--early {shlex.quote(why)} " if why else ""
    return f"changeover finalize {early}--env {run.environment.name} goes on"


def _failed(run: Run, plan: Plan, step: steps.AnyStep, error: ChangeoverError) -> ChangeoverError:
    run.unstoppable = True
    refused = lease.taken(run.fleet, error)
    if refused:
        return endings.taken(run, refused, step.id)
    if held := withdrawal.let_go(run, withdrawal.halves(run, error)):
        error.hint = f"when {', '.join(held)} answers, {_again(run, plan)}"
    serves = "nothing was changed"
    if not isinstance(step, steps.Lock):
        serves = survey.unmoved(run.fleet, run.app_hosts, plan.version, error)
    run.end("failed", error.exit_code, f"{error.message}; {serves}")
    return error
