"""What the app hosts agree on: which colour is live and confirmed on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.errors import Failed, InvalidInput, Mixed
from changeover.runner.fleet import survey
from changeover.runner.lease import holder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from changeover.inventory import Host
    from changeover.remote.fleet import Fleet
    from changeover.runner.fleet.host_state import HostState


class Unconfirmed(InvalidInput):
    """An earlier deployment switched and was never confirmed."""


def settled(states: Iterable[HostState], environment: str) -> str | None:
    """Return the colour that is live and confirmed on every app host; ``None`` before the first.

    Raises:
        LockHeld: Another deployment is at it, so that they cannot agree yet.
        Mixed: The app hosts disagree.
        Unconfirmed: They agree on a colour that nobody confirmed.
    """
    known = tuple(states)
    said = {(each.live, each.confirmed) for each in known if "app" in each.groups}
    if len(said) > 1 or any(live != confirmed for live, confirmed in said):
        holder.refuse_held(known, environment)
    live = agreed(known, "live", environment)
    if live != agreed(known, "confirmed", environment):
        raise Unconfirmed(
            f"{live} is live and was never confirmed: a deployment ended half way",
            hint=f"changeover resume --env {environment}, or changeover abort --env {environment}",
        )
    refuse_behind_page(known, environment)
    return live


def refuse_behind_page(states: Iterable[HostState], environment: str) -> None:
    """Refuse while users get the page of a deployment that is not at its end.

    Raises:
        LockHeld: It is at it.
        Unconfirmed: It ended half way.
    """
    known = tuple(states)
    for state in known:
        wish = (state.maintenance or {}).get("deployment")
        if wish:
            holder.refuse_held(known, environment)
            way_out = f"changeover abort --env {environment} takes it back"
            if outlived(known, wish):
                way_out = f"changeover maintenance off --env {environment} takes the page away"
            raise Unconfirmed(
                f"{wish['reason']} ended half way, and users get its page of maintenance since {wish['since']}",
                hint=f"{way_out}, changeover resume --env {environment} goes on",
                host=state.host,
            )


def outlived(states: Iterable[HostState], wish: Mapping[str, object]) -> bool:
    """Tell whether all that is left of a deployment is its page: every app host was told to stay."""
    version = holder.deployed(dict(wish))
    return version is not None and all(
        state.live == state.confirmed
        and not state.pending
        and version_of(state.live or "") == version
        for state in states
        if "app" in state.groups
    )


class Overtaken(Failed):
    """What a plan was made for is not what is live once the lease is held."""


def refuse_overtaken(
    fleet: Fleet, hosts: Sequence[Host], planned: str | None, *, hint: str
) -> None:
    """Refuse a plan that others overtook between its making and its lease.

    Args:
        fleet: The hosts; their lease is held, and they said then what is live.
        hosts: Those that run the app.
        planned: The colour that was live and confirmed when the plan was made.
        hint: What shows the plan as it would be now.

    Raises:
        Overtaken: Another colour is live on a host now, or another is confirmed.
    """
    for state in survey.leased(fleet, hosts):
        for found, word in ((state.live, "live"), (state.confirmed, "confirmed")):
            if found != planned:
                raise Overtaken(
                    f"{found or 'nothing'} is {word}, and the plan was made for "
                    f"{planned or 'nothing'}: somebody was faster",
                    hint=hint,
                    host=state.host,
                )


def origin(states: Iterable[HostState], target: str, environment: str) -> str | None:
    """Return the colour that an interrupted deployment to ``target`` came from.

    Raises:
        Mixed: The app hosts disagree on it.
    """
    said = {
        state.host: state.previous if state.confirmed == target else state.confirmed
        for state in states
        if "app" in state.groups
    }
    return _one(said, "live before", environment)


def agreed(states: Iterable[HostState], field: str, environment: str) -> str | None:
    """Return what every app host says of ``field``.

    Raises:
        Mixed: They disagree.
    """
    said = {state.host: getattr(state, field) for state in states if "app" in state.groups}
    return _one(said, field, environment)


def _one(said: Mapping[str, str | None], what: str, environment: str) -> str | None:
    values = set(said.values())
    if len(values) <= 1:
        return values.pop() if values else None
    words = ", ".join(f"{host}: {value or 'nothing'}" for host, value in said.items())
    raise Mixed(
        f"the app hosts disagree on what is {what}: {words}",
        hint=f"changeover rollback --to VERSION --env {environment} sends all of them to one",
    )
