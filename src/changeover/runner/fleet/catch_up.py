"""Catch up: bring app hosts that were left out to what the others serve, and send users there again.

Nothing that it does to them can be seen by a user: they are fenced until it has proved them. What is
done is found done by the next run, wherever this one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changeover import steps
from changeover.errors import ChangeoverError, CheckRed, InvalidInput
from changeover.executors import balance, lease, operate
from changeover.plan.order import LEASE_SECONDS
from changeover.runner import endings
from changeover.runner.back import withdrawal
from changeover.runner.fleet import agreement, survey
from changeover.runner.fleet.bringing import Bringing
from changeover.runner.fleet.moves import moves
from changeover.runner.lease import holder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.inventory import Host
    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.fleet.survey import Seen
    from changeover.runner.run import Event, Run

UNFENCE_SECONDS = 60


class StillAway(CheckRed):
    """Hosts that are fenced do not answer yet."""


class NotFenced(InvalidInput):
    """The host that was named is no app host of the environment."""


class PageElsewhere(CheckRed):
    """The others show the page of maintenance: users would get the app on the hosts that come back."""


@dataclass(slots=True, kw_only=True)
class _Found:
    """What was found before anything is done.

    Args:
        live: The colour that the others serve; ``None`` where nothing was deployed yet.
        previous: The colour that they go back to.
        states: What the hosts say that are to be caught up.
        left_by: The deployment that left each of them out.
        shut: Whether the others show the page of maintenance.
        away: Why others that are fenced say nothing.
    """

    live: str | None
    previous: str | None
    states: Mapping[str, HostState]
    left_by: Mapping[str, str]
    shut: bool = False
    away: Mapping[str, ChangeoverError] = field(default_factory=dict)


def catch_up(context: Context, host: str | None) -> Event | None:
    """Bring fenced hosts that answer to what the others serve; return how it ended, None for nothing to do.

    Args:
        context: What the verb works with.
        host: The one host to catch up; all that are fenced where none is named.

    Raises:
        StillAway: A host that is fenced does not answer; what answered is caught up.
        NotFenced: The named host is none of the environment's app hosts.
        PageElsewhere: The other hosts show the page of maintenance, and this one would not.
        LockHeld: A deployment is under way.
        Mixed: The other app hosts disagree on what is live.
        CheckRed: A host is not well with it; it stays fenced.
    """
    run = context.run()
    found = _look(run, host)
    if not found.states:
        run.fleet.close()
        if found.away:
            raise _still(run, found.away)
        return None
    names = ", ".join(sorted(found.states))
    proved: list[str] = []
    run.begin("catch-up", None, found.live, hosts=sorted(found.states))
    try:
        with run.holding(_take(run, found, f"{holder.CATCH_UP} {names}")):
            withdrawal.overtaken(run)
            kept = _walk(context, run, _look(run, host), proved)
    except KeyboardInterrupt as error:
        raise endings.interrupted(
            run,
            f"interrupted: {names} is fenced still where it is not caught up",
            hint=f"changeover catch-up --env {run.environment.name} goes on",
            free=True,
        ) from error
    except Exception as error:
        raise _failed(run, endings.known(error), names, proved) from error
    if found.away:
        run.end("done", 0, f"{names} caught up{kept}")
        raise _still(run, found.away)
    return run.end("done", 0, f"{names} serves {found.live or 'nothing'} like the others{kept}")


def _look(run: Run, host: str | None) -> _Found:
    """Ask every host what is fenced, what the others serve, and what the fenced ones have."""
    apps = {each.name for each in run.whole.hosts_in("app")}
    name = run.whole.name
    if host is not None and host not in apps:
        raise NotFenced(
            f"{host} is no app host of {name}; those are {', '.join(sorted(apps))}",
            hint=f"changeover status --env {name} names what is fenced",
        )
    hosts = run.whole.lease_hosts
    answers = operate.states(run.fleet, hosts)
    seen = survey.seen_of(answers, hosts)
    if seen.lost:
        raise endings.one_of(seen.lost)
    wanted = {each for each in seen.fenced if each in apps and host in {None, each}}
    states = {
        each: state for each, state in survey.states_of(answers, hosts).items() if each in wanted
    }
    live = agreement.settled(seen.states.values(), name)
    shut = _shut(seen, states, name)
    return _Found(
        live=live,
        previous=agreement.agreed(seen.states.values(), "previous", name),
        states=states,
        shut=shut,
        left_by={each: str(seen.fenced[each]["deployment"]) for each in wanted},
        away={each: error for each, error in answers.errors.items() if each in wanted},
    )


def _shut(seen: Seen, states: Mapping[str, HostState], name: str) -> bool:
    """Tell whether the other hosts show the page of maintenance.

    Raises:
        PageElsewhere: They do, and a host that is to come back does not.
    """
    pages = [state for state in seen.apps if state.page_words]
    open_ = sorted(each for each, state in states.items() if not state.page_words)
    if pages and open_:
        raise PageElsewhere(
            f"{pages[0].host} shows the {pages[0].page_words}, and users would get the app on"
            f" {', '.join(open_)}",
            hint=f"changeover maintenance off --env {name} first, then changeover catch-up --env {name}",
            host=pages[0].host,
        )
    return bool(pages)


def _take(run: Run, found: _Found, reason: str) -> tuple[Host, ...]:
    """Take the lease on every host that answers.

    A fenced host may still have that of the deployment that left it out. Whoever holds all the others
    and the balancers takes that one, too.
    """
    hosts = [each for each in run.whole.lease_hosts if each.name not in found.away]
    behind = [each for each in hosts if each.name in found.states]
    others = [each for each in hosts if each not in behind]
    holder.take(run, others, reason, LEASE_SECONDS, steal=False)
    lease.lock(run.fleet, behind, reason, LEASE_SECONDS, steal=True)
    return tuple(hosts)


def _walk(context: Context, run: Run, found: _Found, proved: list[str]) -> str:
    """Do all of it; return what keeps users away still, as the end of a sentence."""
    hosts = [host for host in run.whole.hosts_in("app") if host.name in found.states]
    bringing = Bringing(context, run, found.left_by)
    for host in hosts:
        state = found.states[host.name]
        for move in moves(state, found.live, found.previous):
            bringing.make(host, move)
        bringing.prove(host, found.live)
        bringing.keep_warm(host, found.live, found.previous)
        if not found.shut:
            bringing.open(host, state)
    proved += [host.name for host in hosts]
    kept = _unfence(run, hosts) if hosts else ""
    lease.unlock(run.fleet, run.lease_hosts)
    return kept


def _unfence(run: Run, hosts: Sequence[Host]) -> str:
    balancers = run.environment.balancers
    step = steps.Unfence(
        id="unfence",
        hosts=tuple(each.name for each in balancers),
        servers=tuple(each.name for each in hosts),
        seconds=UNFENCE_SECONDS,
    )
    outcome = run.step(step, lambda: balance.unfence(run.fleet, balancers, step))
    return f"; {outcome.says}" if outcome.figures.get("kept") else ""


def _still(run: Run, away: Mapping[str, ChangeoverError]) -> ChangeoverError:
    lost = endings.one_of(away)
    return StillAway(
        f"{lost.host} is fenced and does not answer: {lost.message}",
        hint=f"start it, then changeover catch-up --env {run.environment.name}",
        host=lost.host,
        cause=lost.cause,
    )


def _failed(run: Run, error: ChangeoverError, names: str, proved: Sequence[str]) -> ChangeoverError:
    refused = lease.taken(run.fleet, error)
    if refused:
        return endings.taken(run, refused, "catch-up")
    lease.unlock(run.fleet, run.lease_hosts)
    stays = f"{names} stays fenced, and users are where they were"
    if proved and len(run.environment.balancers) > 1:
        stays = (
            f"{', '.join(proved)} is proved, and users may get there through some balancers only"
        )
        error.hint = f"changeover catch-up --env {run.environment.name} again"
    error.message = f"{error.message}; {stays}"
    run.end("failed", error.exit_code, error.message)
    return error
