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
    from changeover.junit import Case

Version = Annotated[str, typer.Argument(help="The version to go to.")]
Live = Annotated[str | None, typer.Argument(help="The version; the live one if none.")]


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
    json: options.Json = False,
    junit: options.Junit = None,
) -> None:
    """Check the live version from outside, through TLS: HTTP, WebSocket, manual steps."""
    from changeover.executors import smoke as smoking  # noqa: PLC0415 - `--help` does without
    from changeover.junit import Case  # noqa: PLC0415
    from changeover.release import environment_values, load_release  # noqa: PLC0415
    from changeover.runner.deployment import proof  # noqa: PLC0415

    desk = open_desk(env, app, json_lines=json)
    context, place = context_of(desk), desk.environment
    shown, shut = (version, False) if version else _live(desk)
    release = context.releases.get(shown) or load_release(desk.root, desk.app, shown)
    outcome = smoking.apply(
        proof.target_of(place, desk.app),
        release.outside_checks,
        environment_values(context.declared, release, context.releases, place),
        lambda event: desk.output.data(event, _words(event)),
    )
    cases = [
        Case(
            name=result.id,
            group=desk.app,
            seconds=result.seconds,
            failure=None if result.ok else result.message,
            text="" if result.ok else "\n".join((result.message, *result.detail)),
        )
        for result in outcome.results
    ]
    _write(desk, junit, f"smoke-{shown}", cases, outcome.seconds)
    # Going back would not take the page away, and users are kept from a version that may be well.
    outcome.require_green(
        f"changeover maintenance status --env {place.name}: the checks get the page, as users do"
        if shut
        else f"changeover rollback --env {place.name}"
    )


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
