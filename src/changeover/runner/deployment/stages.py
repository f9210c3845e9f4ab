"""Prepare a deployment: the way to the version, and for each stage its bundle and its plan."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from changeover import duration
from changeover import release as releases_of
from changeover.colour import version_of
from changeover.counts import counted
from changeover.plan import behind_page, order, tasks
from changeover.runner.backups import restore_price
from changeover.runner.deployment import canary_terms, forecast, forward, preconditions
from changeover.runner.fleet import agreement, away
from changeover.runner.lease import holder

if TYPE_CHECKING:
    from changeover.plan.situation import Situation
    from changeover.runner.context import Context
    from changeover.runner.run import Run

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One version on the way: the run that goes there and its plan.

    Args:
        run: The run.
        plan: Its plan.
    """

    run: Run
    plan: order.Plan


def route(context: Context, version: str, *, direct: bool, alone: bool = False) -> tuple[str, ...]:
    """Return the versions to deploy one after another.

    Args:
        context: What the verb works with.
        version: The version to go to.
        direct: Skip the versions between.
        alone: Refuse at once while another deployment is under way.

    Raises:
        InvalidInput: The version is unknown or may not follow what is live, or what is waived is no
            precondition on the way.
        LockHeld: Another deployment is under way.
        Mixed: The app hosts disagree on what is live.
    """
    releases = context.releases
    releases_of.path(context.app, releases, None, version)
    asking = context.run()
    states = away.present(asking)
    context.states, context.left_out = states, asking.left_out
    if alone:
        name = context.environment.name
        holder.refuse_held(states.values(), name, asking.journal.path.parent)
    live = agreement.settled(states.values(), context.environment.name)
    before = version_of(live) if live else None
    try:
        found = releases_of.path(context.app, releases, before, version, direct=direct)
    except releases_of.VersionMayNotFollow as error:
        known = tuple(releases)
        if before in known and known.index(version) < known.index(before):
            name = context.environment.name
            # What may follow instead; its own way back names neither this version nor the environment.
            follows = error.hint.partition("; to go back:")[0]
            error.hint = f"changeover rollback --to {version} --env {name} goes back; {follows}"
        raise
    way = found or (version,)
    preconditions.refuse_unknown(context.waived, [releases[each] for each in way])
    return way


def prepare(
    context: Context,
    version: str,
    *,
    deployment: str | None = None,
    after: order.Plan | None = None,
) -> Stage:
    """Build the version's bundle, ask the hosts and the database, and plan.

    Args:
        context: What the verb works with.
        version: The version of this stage.
        deployment: The id of a deployment to go on with; a new one if none.
        after: The plan of the stage before, where that one has not run yet.

    Raises:
        InvalidInput: The release or its environment values are not usable.
        CheckRed: A host or the database cannot be asked.
    """
    release = context.release(version)
    run = context.run(deployment)
    run.release = release
    forecast.build(run, context.releases)
    states, context.states = context.states, None
    if states is not None or after is not None:
        run.leave_out(context.left_out)
    found = forecast.situation(run, context.releases, after, states, resumed=deployment is not None)
    away.refuse_unstopped(found, context.environment.name)
    situation = restore_price.priced(run, found)
    asked = preconditions.asked_of(release, situation.live_version, context.waived)
    situation, target = canary_terms.agreed(
        run,
        replace(situation, preconditions=tuple(preconditions.lines(asked))),
        replace(
            forecast.target(run),
            preconditions=tuple(each.id for each in asked.preconditions),
            waived=tuple(asked.waived),
        ),
        context.canary,
        states,
        ahead=after is not None,
    )
    return Stage(run=run, plan=order.deploy(situation, target))


def plans(context: Context, version: str, *, direct: bool) -> list[order.Plan]:
    """Return the plan of every stage that has something to do."""
    found: list[order.Plan] = []
    for each in route(context, version, direct=direct):
        found.append(prepare(context, each, after=found[-1] if found else None).plan)
    return [each for each in found if not each.empty]


def walk(stage: Stage, *, steal: bool = False) -> Event:
    """Walk the stage's plan and return the event that ends it."""
    return forward.walk(stage.run, stage.plan, steal=steal)


def brief(made: order.Plan) -> str:
    """Return a plan in a few lines, for a run that was agreed to already."""
    found = made.situation
    lines = [
        f"plan {found.app} on {found.environment}: {found.live or 'nothing'} -> {made.colour}",
        f"  {counted(len(made.steps), 'step')}, {counted(len(found.pending), 'migration')}",
        f"  {counted(len(found.variables), 'variable')} and {counted(len(found.files), 'file')} change",
        *(f"  {line}" for line in behind_page.words(found)),
        *(f"  {line}" for line in tasks.words(found)),
        *(f"  {line}" for line in canary_terms.lines(made)),
        *(f"  precondition {line}" for line in found.preconditions),
        *(f"  {line}" for line in found.warnings),
        *(f"  {line}" for line in away.words(found)),
        *(f"  {line}" for line in _ways_back(found)),
    ]
    return "\n".join(lines)


def words(made: order.Plan) -> str:
    """Return a plan for a person: steps, files, variables, SQL, warnings, the way back."""
    found = made.situation
    lines = [f"plan {found.app} on {found.environment}: {found.live or 'nothing'} -> {made.colour}"]
    width = max([10, *(len(step.id) for step in made.steps)])
    for step in made.steps:
        where = f" on {', '.join(step.hosts)}" if step.hosts else ""
        lines.append(f"  {step.id:<{width}} {step.says}{where}")
    lines += behind_page.words(found)
    lines += away.words(found)
    lines += canary_terms.lines(made)
    for title, content in (
        ("variables", found.variables),
        ("files", found.files),
        ("preconditions", found.preconditions),
        ("data checks", found.checks),
        ("what the old version runs", found.beside),
        ("second opinion", found.advice),
        ("warnings", found.warnings),
    ):
        if content:
            lines.append(f"{title}:")
            lines += [f"  {line}" for text in content for line in text.splitlines()]
    lines += _statements(found, made.version)
    if found.own:
        lines.append(f"the app's own migrator ({found.own.id}, on {found.own.host}):")
        for what in ("command", "status", "undo"):
            lines.append(f"  {what:<8} {shlex.join(getattr(found.own, what)) or 'none'}")
        lines.append(f"  each is ended after {found.own.deadline_seconds} s")
    lines += tasks.words(found)
    lines += _ways_back(found)
    lines.append(f"digest {made.digest}")
    return "\n".join(lines)


def _statements(found: Situation, version: str) -> list[str]:
    """Return every statement with whom it meets, and what the last rehearsal measured of it."""
    lines = ["statements:"] if found.statements else []
    for change in found.statements:
        lines.append(f"  {change.migration}")
        lines += [f"    {line}" for line in (*change.meets, *change.measured)]
        if change.rewrites is not False:
            said = "writes" if change.rewrites else "may write"
            lines.append(f"    {said} the whole table anew")
        lines += [f"    | {line}" for line in change.sql.strip().splitlines()]
    if unknown := sum(not change.measured for change in found.statements):
        rehearse = f"changeover db rehearse {version} --env {found.environment}"
        how = rehearse if found.live else "nothing is live that they could be rehearsed on"
        lines.append(
            f"  {counted(unknown, 'statement was', 'statements were')} not measured yet: {how}"
        )
    return lines


def _ways_back(found: Situation) -> list[str]:
    """Say what going back costs after the deployment, and after the finalize that may follow."""
    lines = [f"way back: {found.verdict.kind}: {found.verdict.because}"]
    restored = found.verdict.kind == "restore"
    if found.price and restored:
        lines += [f"  {line}" for line in found.price.ahead("this deployment")]
    if found.afterwards is not None:
        lines.append(f"after finalize: {found.afterwards.kind}: {found.afterwards.because}")
    if found.price and not restored:
        lines += [f"  {line}" for line in found.price.ahead("finalize")]
    if found.bake_seconds:
        span = duration.words(found.bake_seconds)
        lines.append(f"bake window: {span} from the confirmation on; finalize waits for its end")
    return lines
