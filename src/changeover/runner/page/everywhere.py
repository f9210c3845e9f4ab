"""The page of maintenance: shown on all app hosts or on none, and never taken toward a dead app."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.counts import counted
from changeover.errors import ChangeoverError, CheckRed, Mixed
from changeover.executors import lease, maintenance
from changeover.outcome import Outcome
from changeover.remote.fleet import action, on_each
from changeover.runner import endings
from changeover.runner.deployment import draining
from changeover.runner.fleet import survey
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from changeover import steps
    from changeover.inventory import Host
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run

WELL_SECONDS = 5
_ON = "users get the page of maintenance"


class AppUnwell(CheckRed):
    """The app does not answer behind the page, so the page stays."""

    @classmethod
    def of(cls, errors: Mapping[str, ChangeoverError]) -> AppUnwell:
        """Return what hosts said as the reason why the page stays."""
        error = endings.one_of(errors)
        return cls(
            f"the page stays: {error.message}", hint=error.hint, host=error.host, cause=error.cause
        )


def _by_hand(run: Run) -> str:
    return f"{_ON} until changeover maintenance off --env {run.environment.name}"


def new_token() -> Secret:
    """Return a token that gets a tester through."""
    return Secret(secrets.token_hex(16))


def show(run: Run, step: steps.MaintenanceOn, *, of: str | None = None) -> Outcome:
    """Show the page on every app host, or on none where one of them cannot.

    Raises:
        PageUnserved: The site that is live on a host would not show it; nothing was changed.
        Mixed: One could not, and another did not take it away again.
    """
    states = survey.host_states(run.fleet, run.app_hosts)
    refuse_unserved(states.values(), run.app.app, run.environment.name)
    if step.wanted == "deployment":
        run.tester = new_token()
    page = maintenance.Page(
        kind=step.wanted,
        reason=step.reason,
        retry_after=step.retry_after,
        allow=step.allow,
        tester=run.tester,
        of=of,
    )
    answers = maintenance.show(run.fleet, run.app_hosts, page)
    if answers.errors:
        fresh = [
            host
            for host in run.app_hosts
            if host.name in answers.replies
            and step.wanted not in (states[host.name].maintenance or {})
        ]
        raise _nowhere(run, step, answers.errors, fresh, kept=len(fresh) < len(answers.replies))
    shown = answers.each("maintenance_on")
    run.shut = _by_hand(run) if step.wanted == "hand" else _ON
    return Outcome(
        says=f"users get the page on {counted(len(shown), 'host')}"
        f", and are told to come again after {step.retry_after} s",
        changed=True,
    )


def _nowhere(
    run: Run,
    step: steps.MaintenanceOn,
    errors: Mapping[str, ChangeoverError],
    fresh: Sequence[Host],
    *,
    kept: bool,
) -> ChangeoverError:
    """Take away what was shown before one host could not, and return why."""
    error = endings.one_of(errors)
    left = maintenance.hide(run.fleet, fresh, step.wanted).errors
    if left:
        name = run.environment.name
        return Mixed(
            f"users may get the page on {', '.join([*left, *errors])} and the app elsewhere: {error.message}",
            hint=f"changeover status --env {name}, then changeover maintenance off --env {name}",
            host=error.host,
            cause=error.cause,
        )
    shown = "the page stays on elsewhere" if kept else "so no host shows the page"
    error.message = f"{error.message}; {shown}"
    return error


def join(run: Run, back: Sequence[Host] | None = None) -> None:
    """Let the checks of a run through a page that is on by hand, which it leaves on.

    Args:
        run: The run.
        back: The hosts that go back, whatever one of them says of its page; where none are named, all
            app hosts have to let the checks through.

    Raises:
        LeaseTaken: A host is another run's by now.
        ChangeoverError: A host does not let them through, and nobody goes back.
    """
    run.tester = new_token()
    page = maintenance.Page(kind="checks", reason="", tester=run.tester)
    answers = maintenance.show(run.fleet, run.app_hosts if back is None else back, page)
    run.shut = _by_hand(run)
    if back is None:
        answers.check()
    for host, error in answers.errors.items():
        if refused := lease.taken(run.fleet, error):
            raise refused
        says = f"warning: the page on {host} does not let the checks through: {error.message}"
        run.note({"type": "warning", "says": says})


def by_hand(states: Iterable[HostState]) -> bool:
    """Tell whether somebody has switched the page on by hand."""
    return any((state.maintenance or {}).get("hand") for state in states)


def refuse_unserved(states: Iterable[HostState], app: str, environment: str) -> None:
    """Refuse where a live site would not show the page.

    Raises:
        PageUnserved: One would not.
    """
    for state in states:
        if not (state.maintenance or {}).get("served"):
            version = version_of(state.live) if state.live else None
            raise maintenance.unserved(state.host, app, version, environment)


def hide(run: Run, step: steps.MaintenanceOff, hosts: Sequence[Host] | None = None) -> Outcome:
    """Take the page away on every host, once the app is well on each of them.

    Raises:
        ChangeoverError: The app is not well somewhere, and the page stays; or one host did not answer.
    """
    hosts = run.app_hosts if hosts is None else hosts
    states = survey.host_states(run.fleet, hosts)
    well = on_each(
        run.fleet,
        [host for host in hosts if states[host.name].live],
        lambda host: [
            action("health", colour=states[host.name].live, timeout_seconds=WELL_SECONDS)
        ],
    )
    if well.errors:
        raise AppUnwell.of(well.errors)
    answers = maintenance.hide(run.fleet, hosts, step.wanted)
    if answers.errors:
        raise _partly(run, answers.errors)
    results = answers.each("maintenance_off")
    counts = [result.get("answered") for result in results.values()]
    known = [count for count in counts if count is not None]
    figures = {"answered": sum(known)} if known else {}
    stays = any(result["on"] for result in results.values())
    says = "the page stays: it was asked for by hand, too" if stays else "users get the app"
    run.shut = _by_hand(run) if stays else ""
    if known:
        says += f"; {counted(sum(known), 'request was', 'requests were')} answered 503 meanwhile"
    return Outcome(says=says, changed=not stays, figures=figures)


def _partly(run: Run, errors: Mapping[str, ChangeoverError]) -> Mixed:
    error, name = endings.one_of(errors), run.environment.name
    return Mixed(
        f"users may still get the page on {', '.join(errors)}: {error.message}",
        hint=f"changeover maintenance off --env {name} again; changeover status --env {name} shows each host",
        host=error.host,
        cause=error.cause,
    )


def stop(run: Run, step: steps.Stop) -> Outcome:
    """Stop a colour behind the page; what it still serves has until the deadline."""
    answers = draining.stop(run, run.app_hosts, step.colour, step.seconds, shut=True)
    results = answers.each("stop")
    slowest = max((int(result.get("stopped_ms", 0)) for result in results.values()), default=0)
    killed = [host for host, result in results.items() if result.get("killed")]
    late = f", killed at the deadline on {', '.join(killed)}" if killed else ""
    return Outcome(
        says=f"{step.colour} stopped in {slowest} ms{late}", figures={"stopped_ms": slowest}
    )
