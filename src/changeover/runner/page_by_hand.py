"""The page of maintenance by hand: under a lease, journaled, on all app hosts or on none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from changeover import steps
from changeover.errors import InvalidInput
from changeover.runner import agreement, away, by_hand, interruption, page, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.outcome import Outcome
    from changeover.runner.host_state import HostState
    from changeover.runner.run import Run
    from changeover.runner.stages import Context
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
    states = _states(context)
    _refuse_deployment(states.values(), name)
    token = page.new_token() if asked.tester else None
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
        outcome = run.step(step, partial(page.show, run, step))
        run.shut = ""
        return outcome, token


def hide(context: Context) -> Outcome:
    """Take the page away, also that of a deployment that was cut off after every host was told to stay.

    Raises:
        PageOfDeployment: A deployment shows it: it is resumed or taken back first.
        LockHeld: A deployment, or another hand, holds the lease.
    """
    name = context.environment.name
    states = _states(context)
    wish = interruption.shown(states.values())
    if wish is None or not agreement.outlived(states.values(), wish):
        _refuse_deployment(states.values(), name)
    hint = f"changeover maintenance off --env {name} again"
    with by_hand.leased(context, "maintenance off", None, hint=hint) as run:
        if wish is not None:
            _hide(run, states, "deployment")
        return _hide(run, states, "hand")


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


def _hide(run: Run, hosts: Iterable[str], wanted: Literal["hand", "deployment"]) -> Outcome:
    step = steps.MaintenanceOff(id="maintenance-off", hosts=tuple(hosts), wanted=wanted)
    return run.step(step, partial(page.hide, run, step))


def _states(context: Context) -> dict[str, HostState]:
    run = context.run()
    # No user gets to a host that is fenced; catch-up has it show what the others show.
    run.leave_out(dict.fromkeys(survey.fenced(run.fleet, run.environment.balancers), away.FENCED))
    states = survey.host_states(run.fleet, run.app_hosts)
    run.fleet.close()
    page.refuse_unserved(
        [state for state in states.values() if not (state.maintenance or {}).get("on")],
        context.app,
        context.environment.name,
    )
    return states


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
