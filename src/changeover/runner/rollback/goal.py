"""Which colour a rollback goes to, by what the app hosts remember."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.errors import InvalidInput
from changeover.executors.canary import RENEWED_SECONDS
from changeover.runner.lease import holder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.runner.fleet.host_state import HostState


class NothingToGoBackTo(InvalidInput):
    """No colour is recorded as the one that was live before."""


class NotPlaced(NothingToGoBackTo):
    """No build of the version is on every app host.

    Args:
        version: The version, where it is the hosts that name it: it was live before.
    """

    version: str | None = None


class BuildUnclear(InvalidInput):
    """Several builds of the version are placed, and the hosts do not agree on one."""


def choose(states: Sequence[HostState], to: str | None, environment: str) -> str:
    """Return the colour that was live before, or the one that ``to`` names.

    Args:
        states: What the app hosts say.
        to: A version or a colour; ``None`` for what was live before.
        environment: The environment's name, for the next command.

    Raises:
        NothingToGoBackTo: There is no such colour on every host.
        BuildUnclear: There are several, and the hosts disagree.
    """
    return _before(states, environment) if to is None else _named(states, to, environment)


def _before(states: Sequence[HostState], environment: str) -> str:
    unfinished = {s.pending["to"] for s in states if s.pending and s.pending["kind"] == "revert"}
    if len(unfinished) == 1 and None not in unfinished:
        # Somebody was going back already: that is ended, and goes no version further.
        return str(unfinished.pop())
    if killed := _ended_unproved(states):
        return killed
    _refuse_before_switch(states, environment)
    known = {colour for state in states for colour in (state.previous, state.live) if colour}
    goals = {state.previous for state in states}
    if len({state.live for state in states}) > 1:
        # Half of a move: the hosts that made it are where the others would go back to, or the
        # other way round.
        goals = {colour for colour in known if all(colour in {s.live, s.previous} for s in states)}
    if len(goals) == 1 and None not in goals:
        return str(goals.pop())
    if removed := _removed(states):
        raise removed
    if all(state.live is None for state in states):
        raise NothingToGoBackTo(
            "nothing is live, so there is nothing to go back from",
            hint=f"changeover deploy VERSION --env {environment}",
        )
    said = ", ".join(f"{state.host}: {state.previous or 'nothing'}" for state in states)
    raise NothingToGoBackTo(
        f"the hosts record no common version before this one ({said})",
        hint=f"changeover status --env {environment}, then "
        f"changeover rollback --to VERSION --env {environment}",
    )


def before(state: HostState) -> str | None:
    """Return the colour that a host goes back to, or would if it were there still.

    Another build of the version that is live is no way back once it is gone.
    """
    return state.previous or _remembered(state)


def _remembered(state: HostState) -> str | None:
    live = version_of(str(state.live))
    return next((each for each in reversed(state.history) if version_of(each) != live), None)


def _removed(states: Sequence[HostState]) -> NotPlaced | None:
    """Return what all hosts remember as live before, where `finalize` has removed it since.

    A rollback that was cut off may have placed it, or another one, again on some of them.
    """
    last = {_remembered(state) for state in states}
    if len(last) != 1 or None in last or len({state.live for state in states}) > 1:
        return None
    if any(state.pending for state in states):
        return None
    colour = str(last.pop())
    error = NotPlaced(f"{colour} was live before and is removed", hint="name a version with --to")
    error.version = version_of(colour)
    return error


def _ended_unproved(states: Sequence[HostState]) -> str | None:
    """Return the colour that a rollback brought every host to, and did not give its lease back.

    It is proved, and what was left is stopped: going further back is not what was asked for.
    """
    went = {found[1] for state in states if (found := holder.went_back(state.lock))}
    if len(went) == 1 and all({state.live, state.confirmed} == went for state in states):
        return went.pop()
    return None


def _named(states: Sequence[HostState], to: str, environment: str) -> str:
    placed = set.intersection(*(set(state.placed) for state in states)) if states else set()
    if to in placed:
        return to
    builds = {colour for colour in placed if version_of(colour) == to}
    if not builds:
        listed = ", ".join(sorted(placed)) or "nothing"
        raise NotPlaced(
            f"no bundle of {to} is on every app host; there is {listed}",
            hint=f"changeover deploy {to} --env {environment}, or choose one of those",
        )
    if len(builds) == 1:
        return builds.pop()
    said = {state.host: _last_live(state, builds) for state in states}
    agreed = set(said.values())
    if len(agreed) == 1 and None not in agreed:
        return str(agreed.pop())
    words = ", ".join(f"{host}: {colour or 'none'}" for host, colour in said.items())
    raise BuildUnclear(
        f"the hosts disagree on which build of {to} was live last: {words}",
        hint=f"name one: changeover rollback --to COLOUR --env {environment}, "
        f"of {', '.join(sorted(builds))}",
    )


def _last_live(state: HostState, builds: set[str]) -> str | None:
    """Return the build that was live last on a host; what is live now is the last of all."""
    order = [*state.history, state.previous, state.live]
    return next((colour for colour in reversed(order) if colour in builds), None)


def _refuse_before_switch(states: Sequence[HostState], environment: str) -> None:
    """Refuse to go a version further back where a deployment ended before it sent users on."""
    ended = [state for state in states if holder.deployed(state.lock) and not state.pending]
    if ended and all(state.live == state.confirmed for state in states):
        version = holder.deployed(ended[0].lock)
        live = version_of(str(ended[0].live))
        if live != version:
            says = f"the deployment of {version} ended before users were sent on: {live} serves"
            if share := next((state.canary for state in ended if state.canary), None):
                says += (
                    f"; {share['percent']}% of the clients are on {version} until abort, or for"
                    f" {RENEWED_SECONDS} s at most"
                )
            raise NothingToGoBackTo(
                says,
                hint=f"changeover abort --env {environment}, or name a version with --to",
            )
