"""preflight, smoke and verify: the proofs, each with JUnit output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from changeover.cli import options
from changeover.cli.desk import Desk, context_of, declared, open_desk
from changeover.counts import counted
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from changeover.executors.preflight import Finding
    from changeover.executors.smoke import CheckResult
    from changeover.junit import Case

Version = Annotated[str, typer.Argument(help="The version to go to.")]
Live = Annotated[str | None, typer.Argument(help="The version; the live one if none.")]
PackName = Annotated[
    str | None,
    typer.Option("--pack", help="A pack of the app's smoke checks, in place of the release's own."),
]


class NothingLive(InvalidInput):
    """No version of the app is live."""


def preflight(
    version: Version,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    waive: options.Waive = None,
    json: options.Json = False,
    junit: options.Junit = None,
) -> None:
    """Hold the hosts against a version's requirements: a minimum is red, a recommendation warns."""
    from changeover.runner.deployment import preconditions, requirements  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json)
    owner, release = declared(desk, version)
    waived = tuple(waive or ())
    preconditions.refuse_unknown(waived, [release])
    asked = preconditions.asked_of(release, None, waived)
    found = requirements.outcome(desk.environment, owner, release, lambda _: None, asked)
    for finding in found.findings:
        mark = finding.status.ljust(4)
        follow = f"; next: {finding.next}" if finding.next else ""
        text = f"{mark} {finding.host or 'all':<12} {finding.id:<12} {finding.message}{follow}"
        desk.output.data(finding.as_event(), text)
    cases = [_finding_case(finding) for finding in found.findings]
    _write(desk, junit, f"preflight-{version}", cases, found.seconds)
    found.require_green()


def _finding_case(finding: Finding) -> Case:
    from changeover.junit import Case  # noqa: PLC0415 - `--help` does without

    said = filter(None, (finding.message, finding.cause, finding.next))
    return Case(
        name=finding.id,
        group=finding.host or "environment",
        failure=finding.message if finding.status == "red" else None,
        text="" if finding.status == "ok" else "\n".join(said),
    )


def smoke(
    version: Live = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    pack: PackName = None,
    json: options.Json = False,
    junit: options.Junit = None,
) -> None:
    """Check the live version from outside, through TLS: HTTP, WebSocket, manual steps."""
    from changeover.executors import smoke as smoking  # noqa: PLC0415 - `--help` does without
    from changeover.release import (  # noqa: PLC0415
        environment_values,
        load_app,
        load_pack,
        load_release,
    )
    from changeover.runner.deployment import proof  # noqa: PLC0415

    desk = open_desk(env, app, json_lines=json)
    context, place = context_of(desk), desk.environment
    packed = load_pack(load_app(desk.root, desk.app).directory, pack) if pack else None
    shown, shut = (version, False) if version else _live(desk)
    release = context.releases.get(shown) or load_release(desk.root, desk.app, shown)
    told = {"pack": pack} if pack else {}
    outcome = smoking.apply(
        proof.target_of(place, desk.app),
        packed.checks if packed else release.outside_checks,
        environment_values(context.declared, release, context.releases, place),
        lambda event: desk.output.data(event | told, _words(event)),
    )
    of = (shown, pack) if pack else (shown,)
    cases = [_smoke_case(result, ".".join((desk.app, *of[1:]))) for result in outcome.results]
    _write(desk, junit, "-".join(("smoke", *of)), cases, outcome.seconds)
    outcome.require_green(_next(place.name, shown, shut=shut, pack=pack))


def _smoke_case(result: CheckResult, group: str) -> Case:
    from changeover.junit import Case  # noqa: PLC0415 - `--help` does without

    return Case(
        name=result.id,
        group=group,
        seconds=result.seconds,
        failure=None if result.ok else result.message,
        text="" if result.ok else "\n".join((result.message, *result.detail)),
    )


def _next(environment: str, version: str, *, shut: bool, pack: str | None) -> str:
    """Return what is typed next where a check is red."""
    if shut:
        # Going back would not take the page away, and users are kept from a version that may be well.
        said = "the checks get the page, as users do"
        return f"changeover maintenance status --env {environment}: {said}"
    if pack:
        # What the pack promises may be what this version takes away.
        return (
            f"changeover smoke --env {environment} shows whether {version} keeps its own promises"
        )
    return f"changeover rollback --env {environment}"


def verify(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
    junit: options.Junit = None,
) -> None:
    """Check the hosts themselves: services, sockets, rights, certificates, databases."""
    from changeover.executors import verify as verifying  # noqa: PLC0415 - `--help` does without
    from changeover.junit import Case  # noqa: PLC0415
    from changeover.release import load_app  # noqa: PLC0415

    desk = open_desk(env, app, json_lines=json)
    outcome = verifying.apply(
        desk.environment,
        [load_app(desk.root, name) for name in desk.environment.apps],
        lambda event: desk.output.data(event, _host_words(event)),
    )
    cases = [
        Case(
            name=check.check,
            group=check.host,
            seconds=check.seconds,
            failure=None if check.ok else f"{check.says}: {check.message.splitlines()[0]}",
            text=check.message,
        )
        for check in outcome.checks
    ]
    _write(desk, junit, "verify", cases, outcome.seconds)
    if outcome.skipped:
        desk.output.note(
            f"{counted(len(outcome.skipped), 'check')} left out: {outcome.skipped[0].message}"
        )
    outcome.require_green(f"changeover drift --env {desk.environment.name}")


def _host_words(event: dict[str, Any]) -> str:
    mark = {"passed": "ok  ", "skipped": "skip"}.get(event["status"], "red ")
    line = f"{mark} {event['host']:<12} {event['says']}"
    shown = event["message"].strip().replace("\n", "\n       ")
    return line if event["status"] == "passed" or not shown else f"{line}\n       {shown}"


def _live(desk: Desk) -> tuple[str, bool]:
    """Return the version that every app host serves, and whether users get the page of maintenance."""
    from changeover.colour import version_of  # noqa: PLC0415 - only the live version needs it
    from changeover.runner.fleet import agreement, survey  # noqa: PLC0415

    _, seen = survey.status(desk.environment, desk.app, desk.output.event)
    if seen.failure is not None:
        raise seen.failure
    colour = agreement.agreed(seen.states.values(), "live", desk.environment.name)
    if colour is None:
        raise NothingLive(
            f"{desk.app} is not live in {desk.environment.name}",
            hint=f"changeover deploy VERSION --env {desk.environment.name}",
        )
    shut = any((state.maintenance or {}).get("on") for state in seen.states.values())
    return version_of(colour), shut


def _words(event: dict[str, Any]) -> str:
    mark = "ok  " if event["ok"] else "red "
    lines = [f"{mark} {event['id']:<32} {event['seconds']:6.2f} s  {event['message']}"]
    lines += [f"       {line}" for line in event["detail"]]
    return "\n".join(lines)


def _write(
    desk: Desk, file: Path | None, suite: str, cases: Sequence[Case], seconds: float
) -> None:
    """Write the results as JUnit XML where a file was named, secrets taken out."""
    from changeover import junit  # noqa: PLC0415 - `--help` does without

    if file is None:
        return
    desk.output.save(file, junit.document(suite, cases, seconds=seconds))
    desk.output.note(f"results written to {file}")
