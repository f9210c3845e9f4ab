"""Which deployment was cut off, by the leases it left or the page that it shows; and from where it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover.colour import version_of
from changeover.errors import InvalidInput
from changeover.runner.fleet import agreement, survey
from changeover.runner.lease import holder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.fleet.survey import Seen

Event = dict[str, Any]


class NothingInterrupted(InvalidInput):
    """No host holds a lease of an interrupted deployment."""


def found(context: Context, *, force: bool) -> tuple[Event, Seen]:
    """Return the lease of the interrupted deployment, and what the hosts said."""
    run = context.run()
    run.fleet.any_agent = True
    seen = survey.look(run.fleet, run.lease_hosts)
    states = seen.states
    leases = [state.lock for state in states.values() if state.lock]
    held = next((each for each in leases if holder.deployed(each)), None) or shown(states.values())
    name = context.environment.name
    unconfirmed = next((each for each in states.values() if each.live != each.confirmed), None)
    if held is None and unconfirmed is not None:
        return {"reason": f"deploy {version_of(str(unconfirmed.live))}", "deployment": None}, seen
    if held is None:
        raise NothingInterrupted(
            "no host holds the lease of an interrupted deployment",
            hint=f"changeover status --env {name}",
        )
    if not force:
        holder.refuse_alive(
            states.values(),
            run.journal.path.parent,
            hint=lambda _: "add --force when that controller is gone for certain",
        )
    return held, seen


def shown(states: Iterable[HostState]) -> Event | None:
    """Return whose page of maintenance is on, where a deployment left it."""
    wishes = ((state.maintenance or {}).get("deployment") for state in states)
    return next((wish for wish in wishes if wish), None)


def refuse_confirmed(
    states: Iterable[HostState], held: Event, pending: Event | None, environment: str
) -> None:
    """Refuse to take back what every app host was told to keep.

    Raises:
        NothingInterrupted: They were.
    """
    version = str(holder.deployed(held))
    confirmed = {version_of(state.confirmed or "") for state in states}
    if pending is None and confirmed == {version}:
        page = f"changeover maintenance off --env {environment} takes its page away, then "
        raise NothingInterrupted(
            f"{version} was confirmed before the deployment stopped: there is nothing to abort",
            hint=f"changeover resume --env {environment} ends it, {page if shown(states) else ''}"
            f"changeover rollback --env {environment} takes it back",
        )


def confirmed_before(states: Sequence[HostState], version: str, environment: str) -> str | None:
    """Return the colour to go back to: where some hosts heard the confirmation, what they left."""
    heard = next((each.confirmed for each in states if _is_of(each.confirmed, version)), None)
    if heard is None:
        return agreement.agreed(states, "confirmed", environment)
    return agreement.origin(states, heard, environment)


def _is_of(colour: str | None, version: str) -> bool:
    return colour is not None and version_of(colour) == version
