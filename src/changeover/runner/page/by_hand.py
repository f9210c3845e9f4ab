"""The page of maintenance by hand: under a lease, journaled, on all app hosts or on none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from changeover import steps
from changeover.errors import ChangeoverError, InvalidInput, Mixed
from changeover.remote.fleet import Answers
from changeover.runner import by_hand, endings
from changeover.runner.fleet import agreement, away, survey
from changeover.runner.lease import interruption
from changeover.runner.page import everywhere

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from changeover.inventory import Host
    from changeover.outcome import Outcome
    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.fleet.survey import Seen
    from changeover.runner.run import Run
    from changeover.secret import Secret


class PageOfDeployment(InvalidInput):
    """A deployment shows the page and is not at its end: the app may not run behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was typed.

    Args:
        retry_after: The seconds after which clients are told to come again.
        allow: The addresses that get the app.
        tester: Whether a token is drawn that gets the app.
        reason: Why, for colleagues.
    """

    retry_after: int
    allow: tuple[str, ...]
    tester: bool
    reason: str


def show(context: Context, asked: Asked) -> tuple[Outcome, Secret | None]:
    """Show the page, and return what was done and the token for testers, if there is one.

    Raises:
        PageUnserved: A live site would not show it; nothing was changed.
        PageOfDeployment: A deployment is under way that shows it.
        LockHeld: A deployment, or another hand, holds the lease.
    """
    name = context.environment.name
    seen = _look(context)
    Answers({}, seen.lost).check()
    states = {state.host: state for state in seen.apps}
    unshown = [state for state in seen.apps if not (state.maintenance or {}).get("on")]
    everywhere.refuse_unserved(unshown, context.app, name)
    _refuse_deployment(seen.apps, name)
    token = everywhere.new_token() if asked.tester else None
    step = steps.MaintenanceOn(
        id="maintenance-on",
        hosts=tuple(states),
        wanted="hand",
        reason=asked.reason,
        retry_after=asked.retry_after,
        allow=asked.allow,
    )
    hint = f"changeover status --env {name} shows who gets the page"
    with by_hand.leased(context, "maintenance on", None, hint=hint) as run:
        run.tester = token
        outcome = run.step(step, partial(everywhere.show, run, step))
        run.shut = ""
        return outcome, token


def hide(context: Context) -> Outcome:
    """Take the page away, also that of a deployment that was cut off after every host was told to stay.

    An app host that does not answer keeps nobody on the others from the app.

    Raises:
        Mixed: A host did not answer; users get the app on the others.
        PageOfDeployment: A deployment shows it: it is resumed or taken back first.
        LockHeld: A deployment, or another hand, holds the lease.
    """
    name = context.environment.name
    seen = _look(context)
    wish = interruption.shown(seen.apps)
    if wish is None or seen.lost or not agreement.outlived(seen.apps, wish):
        _refuse_deployment(seen.apps, name)
    hint = f"changeover maintenance off --env {name} again"
    with by_hand.leased(context, "maintenance off", None, hint=hint, without=seen.lost) as run:
        hosts = [host for host in run.app_hosts if host.name not in seen.lost]
        if wish is not None:
            _hide(run, hosts, "deployment")
        outcome = _hide(run, hosts, "hand")
        if seen.lost:
            raise _partly(outcome, seen.lost, hint)
        return outcome


def taken_away(states: Sequence[HostState], environment: str) -> str | None:
    """Say what takes the page away that hosts show; ``None`` where none does."""
    wish = interruption.shown(states)
    if wish is not None and not agreement.outlived(states, wish):
        return (
            "the page goes with its deployment; where that was cut off, changeover resume"
            f" --env {environment} goes on, changeover abort --env {environment} takes it back"
        )
    if wish is None and not any(state.page_words for state in states):
        return None
    return f"changeover maintenance off --env {environment} takes the page away"


def _hide(run: Run, hosts: Sequence[Host], wanted: Literal["hand", "deployment"]) -> Outcome:
    names = tuple(host.name for host in hosts)
    step = steps.MaintenanceOff(id="maintenance-off", hosts=names, wanted=wanted)
    return run.step(step, partial(everywhere.hide, run, step, hosts))


def _partly(outcome: Outcome, lost: Mapping[str, ChangeoverError], hint: str) -> Mixed:
    error = endings.one_of(lost)
    message = f"{outcome.says}, but on {', '.join(lost)}: {error.message}"
    return Mixed(message, hint=f"when it answers, {hint}", host=error.host, cause=error.cause)


def _look(context: Context) -> Seen:
    """Ask the app hosts; no user gets to one that is fenced, and catch-up has it show what the others show.

    Raises:
        ChangeoverError: None of them answers.
    """
    run = context.run()
    run.leave_out(dict.fromkeys(survey.fenced(run.fleet, run.environment.balancers), away.FENCED))
    seen = survey.look(run.fleet, run.app_hosts)
    run.fleet.close()
    return seen


def _refuse_deployment(states: Iterable[HostState], environment: str) -> None:
    for state in states:
        wish = (state.maintenance or {}).get("deployment")
        if wish:
            raise PageOfDeployment(
                f"{wish['by']} shows the page since {wish['since']} for a deployment that is not at its"
                f" end ({wish['reason']}): the app may not run behind it",
                hint=f"changeover resume --env {environment} goes on with it,"
                f" changeover abort --env {environment} takes it back; both end with the page as it was",
                host=state.host,
            )
