"""The proving steps: preflight, the preview on the new colour's sockets, smoke from outside."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from changeover import release as releases_of
from changeover.counts import counted
from changeover.errors import InvalidInput
from changeover.executors import operate
from changeover.executors import smoke as smoking
from changeover.executors.smoke.values import Target
from changeover.outcome import Outcome
from changeover.release import values
from changeover.runner import requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from changeover.inventory import Environment, Host
    from changeover.release import App, Release
    from changeover.release.values import Values
    from changeover.runner.run import Run
    from changeover.steps import Preflight, PreviewSmoke, Smoke

T = TypeVar("T")


def preflight(run: Run, step: Preflight) -> Outcome:
    """Hold hosts and database against the release's requirements.

    Raises:
        CheckRed: A minimum is not met.
    """
    release, _ = _release(run, step.version)
    outcome = requirements.outcome(run.environment, run.app, release, lambda _: None)
    for finding in outcome.warnings:
        where = f"{finding.host}: " if finding.host else ""
        run.note({"type": "warning", "says": f"warning: {where}{finding.message}"})
    outcome.require_green()
    return Outcome(
        says=f"{counted(len(outcome.findings), 'check')}, {counted(len(outcome.warnings), 'warning')}",
        changed=False,
        figures={"checks": len(outcome.findings), "warnings": len(outcome.warnings)},
    )


def preview(run: Run, step: PreviewSmoke, hosts: Sequence[Host] | None = None) -> Outcome:
    """Smoke a colour on its own sockets, on every app host or on these."""
    release, known = _release(run, step.version)
    checks = smoking.preview_parameters(
        release.smoke, target_of(run.environment, run.app.app), known
    )
    return operate.preview(run.fleet, run.app_hosts if hosts is None else hosts, step, checks)


def smoke(run: Run, step: Smoke) -> Outcome:
    """Smoke the live version from outside, through TLS.

    Raises:
        SmokeRed: A check is red; the error names it and shows what was asked and answered.
    """
    release, known = _release(run, step.version)
    outcome = smoking.apply(
        target_of(run.environment, run.app.app), release.outside_checks, known, run.report
    )
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
def beside(work: Callable[[], T]) -> Iterator[Future[T]]:
    """Do work in a thread beside a block; where the block fails, nobody waits for it."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        yield pool.submit(work)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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
