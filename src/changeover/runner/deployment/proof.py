"""The proving steps: preflight, the preview on each host, smoke from outside."""

from __future__ import annotations

import contextlib
import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from changeover import release as releases_of
from changeover.colour import version_of
from changeover.counts import counted
from changeover.errors import Failed, InvalidInput
from changeover.executors import operate
from changeover.executors import smoke as smoking
from changeover.executors.smoke import inside
from changeover.executors.smoke.values import Target
from changeover.outcome import Outcome
from changeover.release import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from changeover.executors.smoke import SmokeOutcome
    from changeover.executors.smoke.together import Stop
    from changeover.inventory import Environment, Host
    from changeover.release import App, Release
    from changeover.release.values import Values
    from changeover.runner.run import Run
    from changeover.steps import AskAgain, Preflight, PreviewSmoke, Smoke

T = TypeVar("T")


class InsideRed(Failed):
    """A check is red that a host asked of its own colour."""


def preflight(run: Run, step: Preflight, *, resumed: bool = False) -> Outcome:
    """Hold hosts and database against the release's requirements, and the live data.

    Args:
        run: The run.
        step: What is held against what.
        resumed: Whether an earlier run of the deployment came before: once it sent users on, the
            live data is not asked whether they may be.

    Raises:
        CheckRed: A minimum is not met, or a precondition that is not waived.
    """
    from changeover.runner.deployment import preconditions, requirements  # noqa: PLC0415 - a rollback has no preflight

    release, _ = _release(run, step.version)
    asked = preconditions.Asked()
    if step.preconditions and not (resumed and _sent_on(run, step.version)):
        asked = preconditions.asked_of(release, None, step.waived)
    outcome = requirements.outcome(run.environment, run.app, release, lambda _: None, asked)
    for finding in outcome.warnings:
        where = f"{finding.host}: " if finding.host else ""
        run.note({"type": "warning", "says": f"warning: {where}{finding.message}"})
    waived = tuple(each for each in outcome.warnings if each.id in asked.waived)
    for each in waived:
        # Whoever goes on with a deployment has waived nothing: its lease says what was.
        by = None if resumed else run.fleet.owner
        says = f"precondition {each.id} is waived" + (f" by {by}" if by else "")
        run.note({"type": "waived", "id": each.id, "by": by, "message": each.message, "says": says})
    outcome.require_green()
    also = f"; waived: {', '.join(each.id for each in waived)}" if waived else ""
    return Outcome(
        says=f"{counted(len(outcome.findings), 'check')}, "
        f"{counted(len(outcome.warnings), 'warning')}{also}",
        changed=False,
        figures={"checks": len(outcome.findings), "warnings": len(outcome.warnings)},
    )


def ask_again(run: Run, step: AskAgain, *, resumed: bool = False) -> Outcome:
    """Hold the live data against the release's preconditions just before users notice.

    Args:
        run: The run.
        step: What is asked.
        resumed: Whether an earlier run of the deployment came before: it may have sent users on.

    Raises:
        CheckRed: A precondition that is not waived is not met any more.
    """
    from changeover.executors.preflight import PreflightOutcome  # noqa: PLC0415 - a rollback has none
    from changeover.runner.deployment import preconditions  # noqa: PLC0415

    if resumed and _sent_on(run, step.version):
        return Outcome(says=f"users are on {step.version} already", changed=False)
    release, _ = _release(run, step.version)
    asked = preconditions.asked_of(release, None, step.waived)
    found = tuple(preconditions.findings(run.environment, run.app, release, asked))
    outcome = PreflightOutcome(findings=found, seconds=0.0)
    outcome.require_green()
    waived = [each.id for each in outcome.warnings]
    also = f"; waived: {', '.join(waived)}" if waived else ""
    return Outcome(says=f"{counted(len(found), 'precondition')}{also}", changed=False)


def _sent_on(run: Run, version: str) -> bool:
    """Tell whether an app host sends its users to a version, or a share of them."""
    replies = operate.states(run.fleet, run.app_hosts).replies.values()
    states = [each["state"].result for each in replies]
    shares = [each.get("canary") or {} for each in states]
    colours = [each.get("live") for each in states] + [each.get("colour") for each in shares]
    return any(colour and version_of(str(colour)) == version for colour in colours)


def preview(run: Run, step: PreviewSmoke, hosts: Sequence[Host] | None = None) -> Outcome:
    """Smoke a colour on every app host or on these, each by itself.

    Raises:
        InsideRed: A check is red on a host; the error shows what was asked and answered.
    """
    release, known = _release(run, step.version)
    target = _as_tester(run)
    asked = inside.ask(release.smoke_checks, target, known, proxied=release.nginx is not None)
    if not asked.checks:
        return Outcome(says="the release declares no check that can be asked here", changed=False)
    chosen = run.app_hosts if hosts is None else hosts
    answers = operate.ask(run.fleet, chosen, step, asked.parameters(), target.host)
    outcomes = {name: asked.judged(each["answers"]) for name, each in answers.items()}
    red = {name: outcome for name, outcome in outcomes.items() if not outcome.ok}
    if red:
        logs = {name: str(answers[name].get("log") or "") for name in red}
        raise _inside_red(run, step, red, logs)
    count = len(asked.checks)
    return Outcome(
        says=f"{counted(count, 'check')} green on {counted(len(outcomes), 'host')}",
        changed=False,
        figures={"checks": count * len(outcomes)},
    )


def _inside_red(
    run: Run, step: PreviewSmoke, red: Mapping[str, SmokeOutcome], logs: Mapping[str, str]
) -> InsideRed:
    """Return the failure that names the red checks of each host, with what its Nginx said."""
    host, first = next(iter(red.items()))
    names = ", ".join(result.id for result in first.red)
    also = f" (also on {', '.join([*red][1:])})" if len(red) > 1 else ""
    lines = [
        line
        for name, outcome in red.items()
        for result in outcome.red
        for line in (f"{name}: {result.id}: {result.message}", *(f"  {d}" for d in result.detail))
    ]
    lines += [f"{name}: Nginx: {line}" for name, log in logs.items() for line in log.splitlines()]
    return InsideRed(
        f"{len(first.red)} of {len(first.results)} checks of {step.colour} are red on {host}{also}: "
        f"{names}",
        hint=f"changeover report {run.fleet.deployment} --env {run.environment.name}",
        host=host,
        cause="\n".join(lines),
    )


def smoke(run: Run, step: Smoke, stop: Stop | None = None) -> Outcome:
    """Smoke the live version from outside, through TLS.

    Raises:
        SmokeRed: A check is red; the error names it and shows what was asked and answered.
    """
    release, known = _release(run, step.version)
    outcome = smoking.apply(_as_tester(run), release.outside_checks, known, run.report, stop)
    outcome.require_green(f"changeover smoke --env {run.environment.name} shows each check")
    return Outcome(
        says=f"{counted(len(outcome.results), 'check')} of {step.version} green from outside",
        changed=False,
        figures={"checks": len(outcome.results)},
    )


def live(run: Run, step: Smoke) -> Outcome:
    """Smoke from outside what was switched to, while every app host is asked for its health.

    No host hears that the colour stays before all of them were well: from outside a balancer hides
    that one of several is down.

    Raises:
        SmokeRed: A check is red.
        AgentFailed: A host is not well.
    """
    if not step.colour:
        return smoke(run, step)
    with beside(lambda: operate.well(run.fleet, run.app_hosts, step.colour)) as asked:
        outcome = smoke(run, step)
        asked.result()
    return outcome


@contextlib.contextmanager
def beside(
    work: Callable[[], T], give_up: Callable[[], None] = lambda: None
) -> Iterator[Future[T]]:
    """Do work in a thread beside a block; where the block fails, nobody waits for it.

    Args:
        work: The work.
        give_up: Ends it early; else the process waits for it at its own end.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        yield pool.submit(work)
    finally:
        give_up()
        pool.shutdown(wait=False, cancel_futures=True)


def _as_tester(run: Run) -> Target:
    """Return where users reach the app, past a page of maintenance that this run knows of."""
    return dataclasses.replace(target_of(run.environment, run.app.app), tester=run.tester)


def target_of(environment: Environment, app: str) -> Target:
    """Return where users reach the app, and whose certificates they trust."""
    return Target(
        public_url=environment.public_url(app),
        addresses={environment.public_name(app): environment.public_address},
        ca_certificate=environment.tls.ca_certificate,
    )


def known_values(
    app: App, releases: Mapping[str, Release], version: str, environment: Environment
) -> Values:
    """Return the environment values that a version's checks may name."""
    return values.environment_values(app, releases[version], releases, environment)


def _release(run: Run, version: str) -> tuple[Release, Values]:
    """Return a release and the values that its checks may name.

    Users are sent back to it whatever the others are like: one that cannot be read is left out.
    """
    root, app, environment = run.root, run.app, run.environment
    release = releases_of.load_release(root, app.app, version)
    releases: dict[str, Release] = {}
    unread: list[str] = []
    for each in releases_of.versions(root, app.app):
        try:
            releases[each] = (
                release if each == version else releases_of.load_release(root, app.app, each)
            )
        except InvalidInput as error:
            unread.append(f"{each} ({error.message})")
    if unread:
        says = f"warning: left out, so a name that only these give a value is not known: {', '.join(unread)}"
        run.note({"type": "warning", "says": says})
        found = values.resolve(app, release, releases, environment)
        # A name that no release reads may be one of theirs.
        if all(problem.kind == "unknown" for problem in found.problems):
            return release, found
    return release, known_values(app, releases, version, environment)
