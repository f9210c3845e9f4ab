"""Ask before acting: what every host says is live, and who holds its lease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.executors import operate
from changeover.fleet import Fleet
from changeover.runner import endings, host_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from changeover.errors import ChangeoverError
    from changeover.fleet import Answers
    from changeover.inventory import Environment, Host
    from changeover.runner.host_state import HostState

Event = dict[str, Any]


def host_states(fleet: Fleet, hosts: Sequence[Host]) -> dict[str, HostState]:
    """Ask every host for its state, all at once."""
    answers = operate.states(fleet, hosts).each("state")
    return {host.name: host_state.read(host, answers[host.name]) for host in hosts}


def leased(fleet: Fleet, hosts: Sequence[Host]) -> list[HostState]:
    """Return what hosts said of themselves right after their lease was taken."""
    return [host_state.read(host, fleet.seen[host.name]) for host in hosts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the hosts said of themselves, and why some of them said nothing.

    Args:
        states: The answers by host.
        lost: Why there is none, by host.
    """

    states: Mapping[str, HostState]
    lost: Mapping[str, ChangeoverError]

    @property
    def apps(self) -> tuple[HostState, ...]:
        """Return the answers of app hosts."""
        return tuple(state for state in self.states.values() if "app" in state.groups)

    def answered(self, hosts: Iterable[Host]) -> list[Host]:
        """Return those of the hosts that answered."""
        return [host for host in hosts if host.name in self.states]

    def lost_of(self, hosts: Iterable[Host]) -> dict[str, ChangeoverError]:
        """Return why there is no answer, for those of the hosts that gave none."""
        return {host.name: self.lost[host.name] for host in hosts if host.name in self.lost}


def look(fleet: Fleet, hosts: Sequence[Host]) -> Seen:
    """Ask every host for its state and go on without those that do not answer.

    Raises:
        ChangeoverError: No app host answers.
    """
    answers = operate.states(fleet, hosts)
    seen = _seen(answers, hosts)
    if not seen.apps:
        answers.check()
    return seen


def _seen(answers: Answers, hosts: Sequence[Host]) -> Seen:
    return Seen(
        states={
            host.name: host_state.read(host, answers.replies[host.name]["state"].result)
            for host in hosts
            if host.name in answers.replies
        },
        lost=dict(answers.errors),
    )


def status(
    environment: Environment, app: str, report: Callable[[Event], None]
) -> tuple[list[HostState], ChangeoverError | None]:
    """Return the state of every host that runs the app or its database, and why some have none."""
    fleet = Fleet(
        environment=environment,
        app=app,
        deployment="status",
        owner="",
        nonce="",
        report=report,
        any_agent=True,
    )
    answers = operate.states(fleet, lease_hosts(environment))
    fleet.close()
    seen = _seen(answers, lease_hosts(environment))
    several = len(seen.lost) > 1
    lost = endings.one_of(seen.lost) if several else next(iter(seen.lost.values()), None)
    return list(seen.states.values()), lost


def lease_hosts(environment: Environment) -> tuple[Host, ...]:
    """Return the hosts that hold the lease: those that run the app or its database."""
    return tuple(host for host in environment.hosts if {"app", "db"} & set(host.groups))
