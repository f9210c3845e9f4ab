"""Fence an app host by hand: users are kept from it at the balancers until `catch-up` has proved it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import CheckRed, InvalidInput
from changeover.executors import balance, operate
from changeover.plan.order import FENCE_DRAIN_SECONDS
from changeover.runner import by_hand, endings
from changeover.runner.fleet import survey
from changeover.runner.fleet.away import NoBalancer

if TYPE_CHECKING:
    from changeover.inventory import Environment
    from changeover.outcome import Outcome
    from changeover.runner.context import Context
    from changeover.runner.fleet.survey import Seen


class NoAppHost(InvalidInput):
    """The host that was named is no app host of the environment."""


class LastHost(CheckRed):
    """Users would get to no app host any more."""


def fence(context: Context, host: str, reason: str) -> Outcome:
    """Have every balancer send nobody to the host; neither it nor the database has to answer.

    Args:
        context: What the verb works with.
        host: The app host.
        reason: Why, for colleagues.

    Raises:
        NoAppHost: There is none of that name.
        NoBalancer: Nothing could keep users from it.
        LastHost: No other app host would be left that answers and is not fenced.
        LockHeld: A deployment, or another hand, holds the lease.
        ChangeoverError: A balancer does not do it.
    """
    environment = context.environment
    _refuse_impossible(environment, host)
    seen = _look(context)
    _refuse_last(seen, host, environment.name)
    hint = f"changeover fence {host} --env {environment.name} again"
    with by_hand.leased(context, "fence", host, hint=hint, without={*seen.lost, host}) as run:
        balancers = run.environment.balancers
        step = steps.Fence(
            id="fence",
            hosts=tuple(each.name for each in balancers),
            servers=(host,),
            why=reason or f"{host} by hand",
            seconds=FENCE_DRAIN_SECONDS,
        )
        return run.step(step, partial(balance.fence, run.fleet, balancers, step))


def _refuse_impossible(environment: Environment, host: str) -> None:
    apps = sorted(each.name for each in environment.hosts_in("app"))
    if host not in apps:
        raise NoAppHost(
            f"{host} is no app host of {environment.name}; those are {', '.join(apps)}",
            hint=f"changeover status --env {environment.name}",
        )
    if not environment.balancers:
        raise NoBalancer(
            f"{environment.name} has no balancer that could keep users from {host}",
            hint="add a host that only balances to group lb; elsewhere stop Nginx on the host itself",
        )


def _look(context: Context) -> Seen:
    run = context.run()
    hosts = run.lease_hosts
    seen = survey.seen_of(operate.states(run.fleet, hosts), hosts)
    run.fleet.close()
    silent = seen.lost_of(run.environment.balancers)
    if silent:
        raise endings.one_of(silent)
    return seen


def _refuse_last(seen: Seen, host: str, environment: str) -> None:
    if not any(state.host != host for state in seen.apps):
        raise LastHost(
            f"{host} is the last app host that users get to",
            hint=f"changeover maintenance on --env {environment} shows them a page; "
            f"changeover catch-up --env {environment} brings fenced hosts back",
        )
