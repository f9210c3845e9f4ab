"""App hosts that are not there: whom a run leaves out by its policy, and keeps users from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover import steps
from changeover.errors import ChangeoverError, CheckRed, InvalidInput
from changeover.executors import balance, operate
from changeover.executors.lease import LeaseTaken, LeaseUnrenewed
from changeover.plan.situation import Skipped
from changeover.remote import hearing
from changeover.remote.fleet import Answers
from changeover.runner.fleet import survey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from changeover.inventory import Environment
    from changeover.plan.situation import Situation
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.fleet.survey import Seen
    from changeover.runner.run import Run

Event = dict[str, Any]
# While some hosts have switched, one that is silent for so long is fenced: an agent beats every 3 s.
SWITCH_SECONDS = 8.0
# The strategy under which no host may go on with the old version: it cannot run beside the new one.
IN_PLACE = "maintenance"
# A fence has no host to leave out. An own migrator may run on where nobody reaches it: never twice.
ALONE = (steps.Fence, steps.MigrateOwn, steps.RehearseOwn)
NO_ANSWER, FENCED = "does not answer", "is fenced"


class NoBalancer(InvalidInput):
    """Hosts are to be left out, and nothing could keep users from them when they are back."""


class HostsAway(CheckRed):
    """More app hosts are away than the policy goes on without."""


class HostsBehind(CheckRed):
    """App hosts are fenced, and what is to be done needs all of them."""


def present(run: Run) -> dict[str, HostState]:
    """Ask every host, and leave out, where the policy says so, app hosts that are fenced or gone.

    Raises:
        NoBalancer: The policy leaves hosts out, and no balancer could keep users from them.
        HostsAway: There are too few left.
        HostsBehind: The policy goes on without none, and hosts are fenced.
        ChangeoverError: Another host cannot be asked.
    """
    _require_balancer(run)
    hosts = run.lease_hosts
    seen = survey.seen_of(operate.states(run.fleet, hosts), hosts)
    apps = {host.name for host in run.app_hosts}
    gone = {host: error for host, error in seen.lost.items() if host in apps and _is_away(error)}
    others = {host: error for host, error in seen.lost.items() if host not in gone}
    if others or run.policy.fails:
        Answers({}, seen.lost).check()
    missing = {**dict.fromkeys(gone, NO_ANSWER), **dict.fromkeys(apps & set(seen.fenced), FENCED)}
    ours = {seen.fenced[host]["deployment"] for host in missing if host in seen.fenced}
    if missing and (gone or ours != {run.fleet.deployment}):
        _judge(run, missing)
    run.leave_out({host: missing[host] for host in sorted(missing)})
    return dict(seen.without(missing).states)


def patience(run: Run) -> float:
    """Return after how many silent seconds a host that is to switch is lost."""
    return hearing.GIVE_UP_SECONDS if run.policy.fails else SWITCH_SECONDS


def require_present(run: Run) -> None:
    """Have every app host answer right before one of them switches, where hosts may be left out.

    A host that is gone is fenced then before anybody is on the new version.

    Raises:
        ChangeoverError: One does not answer.
    """
    if not run.policy.fails:
        operate.states(run.fleet, run.app_hosts, give_up=SWITCH_SECONDS).check()


def _is_away(error: ChangeoverError) -> bool:
    return isinstance(error, survey.GONE)


def _require_balancer(run: Run) -> None:
    if run.policy.fails or run.environment.balancers:
        return
    name = run.whole.name
    raise NoBalancer(
        f"policy {run.policy} leaves out hosts that cannot be reached, and {name} has no balancer "
        "to keep users from them when they are back",
        hint="add a host that only balances to group lb, or --unreachable fail",
    )


def _judge(run: Run, missing: Mapping[str, str]) -> None:
    total = len(run.whole.hosts_in("app"))
    there = len(run.app_hosts) - len(missing)
    if run.policy.allows(there, total):
        return
    said = ", ".join(f"{host} {why}" for host, why in sorted(missing.items()))
    name = run.environment.name
    catch_up = f"changeover catch-up --env {name}"
    if run.policy.fails:
        raise HostsBehind(
            f"{said}, behind the others: users are kept from there",
            hint=f"{catch_up}, or --unreachable skip to go on without",
        )
    raise HostsAway(
        f"{there} of {total} app hosts are there, and policy {run.policy} needs more: {said}",
        hint=f"start what is down; {catch_up} brings back what is fenced",
    )


def refuse_unstopped(found: Situation, environment: str) -> None:
    """Refuse a deployment that no host may miss, where hosts are left out.

    Raises:
        HostsAway: One that nobody reaches may write with the old version.
    """
    if found.skipped and found.strategy == IN_PLACE:
        said = ", ".join(f"{each.host} {each.why}" for each in found.skipped)
        raise HostsAway(
            f"{said}, and strategy maintenance stops the old version everywhere first",
            hint="start what is down; "
            f"changeover catch-up --env {environment} brings back what is fenced",
        )


def left_behind(
    run: Run, found: Situation, step: steps.AnyStep, error: ChangeoverError
) -> tuple[str, ...]:
    """Leave out the app hosts that are gone, where a red step may be red since they are.

    Args:
        run: The run.
        found: What its plan was made from.
        step: The step that is red.
        error: Why.

    Returns:
        Their names; none where no host is gone, or the policy does not go on without them.
    """
    if run.policy.fails or found.strategy == IN_PLACE:
        return ()
    if isinstance(error, LeaseTaken) or isinstance(step, ALONE):
        return ()
    gone = _gone(run, error)
    there = len(run.app_hosts) - len(gone)
    if not gone or not run.policy.allows(there, len(run.whole.hosts_in("app"))):
        return ()
    says = f"{', '.join(gone)} {NO_ANSWER}: left out, as policy {run.policy} says"
    run.note({"type": "warning", "says": f"warning: {says}", "cause": error.message})
    keep_users_from(run, gone)
    run.leave_out(dict.fromkeys(gone, NO_ANSWER))
    return gone


def _gone(run: Run, error: ChangeoverError) -> tuple[str, ...]:
    """Return the app host that broke off, else those that do not answer.

    One that broke off may be back at once, on the old version: it is fenced before anybody is asked.
    """
    if isinstance(error, (*survey.GONE, LeaseUnrenewed)):
        broken = tuple(host.name for host in run.app_hosts if host.name == error.host)
        if broken:
            return broken
    lost = operate.states(run.fleet, run.app_hosts).errors
    return tuple(sorted(host for host, why in lost.items() if _is_away(why)))


def keep_users_from(run: Run, hosts: Collection[str]) -> None:
    """Fence hosts at every balancer, where this run holds the lease there.

    Raises:
        ChangeoverError: A balancer does not do it.
    """
    balancers = run.environment.balancers
    if not hosts or not all(each.name in run.fleet.fences for each in balancers):
        return
    step = steps.Fence(
        id="fence",
        hosts=tuple(each.name for each in balancers),
        servers=tuple(hosts),
        why="; ".join(f"{host} {run.left_out.get(host, NO_ANSWER)}" for host in hosts),
        seconds=0,
    )
    run.step(step, lambda: balance.fence(run.fleet, balancers, step), going_back=True)


def fenced_off(run: Run, behind: dict[str, ChangeoverError]) -> dict[str, ChangeoverError]:
    """Fence the hosts that did not go back since they are gone; return those that users still get to.

    Whoever goes back does not count hosts: what is left serves the old version.
    """
    gone = {host: error for host, error in behind.items() if _is_away(error)}
    if not gone or run.policy.fails or not run.environment.balancers:
        return behind
    try:
        keep_users_from(run, gone)
    except ChangeoverError as error:
        run.note({"type": "warning", "says": f"warning: not fenced: {error.message}"})
        return behind
    run.leave_out(dict.fromkeys(gone, NO_ANSWER))
    return {host: error for host, error in behind.items() if host not in gone}


def fence_lost(run: Run, seen: Seen) -> Seen:
    """Fence the app hosts that gave no answer before a way back; return what was seen of the others.

    Those that are recorded as fenced are fenced again: whoever did it may have been cut off at that.
    """
    try:
        keep_users_from(run, seen.fenced)
    except ChangeoverError as error:
        run.note({"type": "warning", "says": f"warning: not fenced: {error.message}"})
    lost = seen.lost_of(run.app_hosts)
    return seen.without(set(lost) - set(fenced_off(run, lost)))


def refuse_behind(run: Run, what: str) -> None:
    """Refuse what would take away what a host needs that is behind.

    Raises:
        HostsBehind: A host is fenced.
    """
    behind = survey.fenced(run.fleet, run.environment.balancers)
    if behind:
        raise HostsBehind(
            f"fenced and behind the others: {', '.join(sorted(behind))}; {what}",
            hint=f"changeover catch-up --env {run.environment.name}",
        )


def told(run: Run) -> dict[str, Any]:
    """Return what a situation tells of hosts that are away."""
    return {
        "unreachable": str(run.policy),
        "skipped": tuple(Skipped(host=host, why=why) for host, why in sorted(run.left_out.items())),
        "balancers": tuple(host.name for host in run.environment.balancers),
    }


def words(found: Situation) -> Iterator[str]:
    """Give a line for each host that a plan leaves out."""
    for each in found.skipped:
        yield (
            f"left out: {each.host} {each.why} (policy {found.unreachable}): users are kept from it at "
            f"{', '.join(found.balancers)} until changeover catch-up"
        )


def status(
    environment: Environment, states: Mapping[str, HostState], seen: Seen
) -> Iterator[Event]:
    """Give what `status` tells of each host that users are kept from."""
    live = sorted({state.live or "nothing" for state in seen.apps})
    for host, entry in sorted(seen.fenced.items()):
        state = states.get(host)
        has = f"it has {state.live or 'nothing'}" if state else "it does not answer"
        command = f"changeover catch-up --host {host} --env {environment.name}"
        then = command if state else f"when it does, {command}"
        yield {
            "type": "fenced",
            "host": host,
            **entry,
            "answers": state is not None,
            "live": state.live if state else None,
            "command": command,
            "says": f"{host} is fenced since {entry['since']}, no user gets to it: {has}, the others "
            f"serve {', '.join(live)}; {then}",
        }
