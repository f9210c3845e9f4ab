"""plan and deploy: what would happen, and doing it."""

from __future__ import annotations

import json as encoding
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from changeover import verdict
from changeover.cli import options
from changeover.cli.confirm import ask
from changeover.cli.desk import context_of, open_desk, reaching
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from changeover.plan.order import Plan

Version = Annotated[str, typer.Argument(help="The version to go to.")]
Direct = Annotated[
    bool, typer.Option("--direct", help="Skip the versions between; high risk, where allowed.")
]

Canary = Annotated[
    str | None,
    typer.Option("--canary", help="Shares of clients first, such as 5,25,50; off for none."),
]

NOTHING_PENDING = "instant"


class PlanDrifted(InvalidInput):
    """What the plan was made for is not what is there now."""


class PlanUnreadable(InvalidInput):
    """The file is no plan."""


def plan(  # noqa: PLR0913 - one option each, as they are typed
    version: Version,
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan to this file.")] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    direct: Direct = False,
    unreachable: options.Unreachable = None,
    canary: Canary = None,
    waive: options.Waive = None,
    json: options.Json = False,
) -> None:
    """Show what a deployment would do: steps, files, variables, SQL with its locks, the way back."""
    from changeover.runner.deployment import canary_terms, stages  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    canary_terms.check(canary)
    context = context_of(desk, unreachable)
    context.canary, context.waived = canary, tuple(waive or ())
    made = stages.plans(context, version, direct=direct)
    for each in made:
        desk.output.data(each.as_json(), stages.words(each))
    if not made:
        desk.output.data({"type": "plan", "steps": []}, f"nothing to do: {version} is live")
    if out is not None:
        document = [each.as_json() for each in made]
        desk.output.save(out, encoding.dumps(document, indent=1))
        use = f"changeover deploy {version} --plan {out} --env {desk.environment.name}"
        desk.output.note(f"written to {out}; use it with: {use}")


def deploy(  # noqa: PLR0913 - one option each, as they are typed
    version: Version,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="Refuse unless this plan still holds.")
    ] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    direct: Direct = False,
    unreachable: options.Unreachable = None,
    canary: Canary = None,
    waive: options.Waive = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Take the environment to a version, one proved stage after another."""
    desk = open_desk(env, app, json_lines=json)
    lines = reaching(desk)
    from changeover.runner.deployment import canary_terms, stages  # noqa: PLC0415 - hosts are reached while it loads

    canary_terms.check(canary)
    context = context_of(desk, unreachable, lines=lines)
    context.canary, context.waived = canary, tuple(waive or ())
    if plan_file is not None:
        _refuse_drift(
            plan_file, stages.plans(context, version, direct=direct), version, desk.environment.name
        )
    versions = stages.route(context, version, direct=direct, alone=True)
    if len(versions) > 1:
        desk.output.note(f"{version} is reached in {len(versions)} stages: {' -> '.join(versions)}")
    if direct:
        desk.output.note("HIGH RISK: --direct skips the versions between and their proofs")
    for number, each in enumerate(versions):
        stage = stages.prepare(context, each)
        if stage.plan.empty:
            desk.output.data(
                {"type": "deployment-end", "outcome": "done", "exit": 0, "changed": False},
                f"nothing to do: {stage.plan.colour} is live",
            )
            continue
        desk.output.note(stages.brief(stage.plan) if yes else stages.words(stage.plan))
        if number == 0:
            ask(yes=yes, question=f"deploy {version} to {desk.environment.name}?")
        end = stages.walk(stage)
        desk.output.end(f"{end['message']} ({end['seconds']} s)")


def _refuse_drift(file: Path, made: list[Plan], version: str, env: str) -> None:
    read = _read(file)
    hint = f"changeover plan {version} --env {env} --out {file}, and read it again"
    if [each.digest for each in read] != [each.digest for each in made]:
        raise PlanDrifted(f"what {file} plans is not what would happen now", hint=hint)
    for each, now in zip(read, made, strict=True):
        found = now.situation
        afterwards = found.afterwards.kind if found.afterwards else NOTHING_PENDING
        for when, was, is_now in (
            (f"after {now.version}", each.verdict, found.verdict.kind),
            (f"after finalize of {now.version}", each.afterwards, afterwards),
        ):
            if verdict.worse(is_now, was):
                raise PlanDrifted(
                    f"the way back {when} is {is_now} now, and {file} says {was}", hint=hint
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """What a plan that was written down holds: its digest, and the ways back that it tells."""

    digest: str
    verdict: str
    afterwards: str


def _read(file: Path) -> list[_Planned]:
    try:
        read = [_planned(each) for each in encoding.loads(file.read_text(encoding="utf-8"))]
        for each in read:
            verdict.worse(each.verdict, each.afterwards)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlanUnreadable(
            f"{file} is no plan: {error}", hint="changeover plan VERSION --out FILE writes one"
        ) from error
    return read


def _planned(stage: dict[str, Any]) -> _Planned:
    situation = stage["situation"]
    afterwards = situation["afterwards"]
    return _Planned(
        digest=str(stage["digest"]),
        verdict=str(situation["verdict"]["kind"]),
        afterwards=str(afterwards["kind"]) if afterwards else NOTHING_PENDING,
    )
