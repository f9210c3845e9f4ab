"""Ask before acting: what every host says is live, and who holds its lease."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from changeover.executors import operate
from changeover.remote.failures import HostUnreachable, SessionLost
from changeover.remote.fleet import Answers, Fleet
from changeover.runner import endings
from changeover.runner.fleet import host_state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from changeover.errors import ChangeoverError
    from changeover.inventory import Environment, Host
    from changeover.runner.fleet.host_state import HostState

Event = dict[str, Any]
GONE = (HostUnreachable, SessionLost)
# What takes moments on a host that lives; an agent beats every 3 s.
SILENT_SECONDS = 8.0


def host_states(fleet: Fleet, hosts: Sequence[Host]) -> dict[str, HostState]:
    """Ask every host for its state, all at once; what is fenced is no user's, and left out.

    Raises:
        ChangeoverError: The first host's failure, with the others named in its cause.
    """
    seen = seen_of(operate.states(fleet, hosts), hosts)
    Answers({}, seen.lost).check()
    return dict(seen.states)


def fenced(fleet: Fleet, balancers: Sequence[Host]) -> dict[str, Event]:
    """Return the app hosts that balancers keep users from; nobody is asked where there is none."""
    if not balancers:
        return {}
    states = states_of(operate.states(fleet, balancers), balancers)
    return _fenced(states, fleet.environment.hosts_in("app"))


def _fenced(states: Mapping[str, HostState], hosts: Sequence[Host]) -> dict[str, Event]:
    """Return which of the hosts balancers keep users from; one that was taken away is nobody's."""
    said = [(host, entry) for each in states.values() for host, entry in each.fenced.items()]
    known = {host.name for host in hosts}
    return {host: entry for host, entry in said if host in known}


def silent(fleet: Fleet, hosts: Sequence[Host]) -> dict[str, ChangeoverError]:
    """Return why none of the hosts can be reached; empty where one of them says anything."""
    lost = dict(operate.states(fleet, hosts, give_up=SILENT_SECONDS).errors)
    reached = len(lost) < len(hosts) or any(not isinstance(why, GONE) for why in lost.values())
    return {} if reached else lost


def unmoved(
    fleet: Fleet, hosts: Sequence[Host], version: str | None, error: ChangeoverError
) -> str:
    """Say what users get where nobody was moved; where no app host answers any more, that alone.

    Args:
        fleet: Whose hosts they are.
        hosts: The app hosts.
        version: What is live there; ``None`` before the first deployment.
        error: What is red.
    """
    if version is None:
        return "nothing was live and nothing is"
    if isinstance(error, GONE) and silent(fleet, hosts):
        return f"users were not moved from {version}"
    return f"{version} serves"


def leased(fleet: Fleet, hosts: Sequence[Host]) -> list[HostState]:
    """Return what hosts said of themselves right after their lease was taken."""
    return [host_state.read(host, fleet.seen[host.name]) for host in hosts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the hosts said of themselves, and why some of them said nothing.

    Args:
        states: The answers by host, but for fenced ones.
        lost: Why there is none, by host, but for fenced ones.
        fenced: The app hosts that balancers keep users from: since when, why, by which deployment.
    """

    states: Mapping[str, HostState]
    lost: Mapping[str, ChangeoverError]
    fenced: Mapping[str, Event] = field(default_factory=dict)

    @property
    def apps(self) -> tuple[HostState, ...]:
        """Return the answers of app hosts."""
        return tuple(state for state in self.states.values() if "app" in state.groups)

    @property
    def failure(self) -> ChangeoverError | None:
        """Return why hosts gave no answer that users get to, or that hold the lease."""
        several = len(self.lost) > 1
        return endings.one_of(self.lost) if several else next(iter(self.lost.values()), None)

    def without(self, names: Collection[str]) -> Seen:
        """Return what was seen of all hosts but these."""
        return replace(
            self,
            states={name: state for name, state in self.states.items() if name not in names},
            lost={name: error for name, error in self.lost.items() if name not in names},
        )

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
    seen = seen_of(answers, hosts)
    if not seen.apps:
        answers.check()
    return seen


def seen_of(answers: Answers, hosts: Sequence[Host]) -> Seen:
    """Return what hosts answered, those left out that a balancer among them keeps users from."""
    states = states_of(answers, hosts)
    found = _fenced(states, hosts)
    return Seen(states=states, lost=dict(answers.errors), fenced=found).without(found)


def states_of(answers: Answers, hosts: Sequence[Host]) -> dict[str, HostState]:
    """Return what every host said that answered, fenced ones as well."""
    return {
        host.name: host_state.read(host, answers.replies[host.name]["state"].result)
        for host in hosts
        if host.name in answers.replies
    }


def status(
    environment: Environment, app: str, report: Callable[[Event], None]
) -> tuple[dict[str, HostState], Seen]:
    """Return the state of every host that answers, and what was seen of those that users get to."""
    fleet = Fleet(
        environment=environment,
        app=app,
        deployment="status",
        owner="",
        nonce="",
        report=report,
        any_agent=True,
    )
    hosts = environment.lease_hosts
    answers = operate.states(fleet, hosts)
    fleet.close()
    seen = seen_of(answers, hosts)
    return {
        name: _left(state, seen.fenced.get(name))
        for name, state in states_of(answers, hosts).items()
    }, seen


def _left(state: HostState, fence: Event | None) -> HostState:
    """Return a state without the lease of the deployment that left the host out: it means nothing now."""
    if fence is None or (state.lock or {}).get("deployment") != fence["deployment"]:
        return state
    return replace(state, lock=None)
