"""Ask before acting: what every host says is live, and who holds its lease."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from changeover.errors import ChangeoverError, Failed, InvalidInput, LockHeld, Mixed
from changeover.executors import operate
from changeover.fleet import Fleet
from changeover.runner import endings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from changeover.fleet import Answers
    from changeover.inventory import Environment, Host

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """What one host says of an app.

    Args:
        host: Its name.
        groups: Its groups.
        live: The colour that users see there.
        previous: The colour that a rollback goes to.
        confirmed: The colour that a boot brings back.
        running: The colours whose units run.
        placed: All colours on the host.
        pending: The switch that nobody confirmed: deployment, from, to.
        lock: The lease, if someone holds it: owner, reason, number, expires.
        history: The colours that were live before, oldest first.
        contracted: The colours whose contract migrations were begun.
        since: When the live colour was confirmed, or went back to, where the host knows.
        settled_seconds: For how long that is so, by the host's own clock.
    """

    host: str
    groups: tuple[str, ...]
    live: str | None
    previous: str | None
    confirmed: str | None
    running: tuple[str, ...]
    placed: tuple[str, ...]
    pending: Event | None
    lock: Event | None
    history: tuple[str, ...] = ()
    contracted: tuple[str, ...] = ()
    since: str | None = None
    settled_seconds: float | None = None

    @property
    def lock_words(self) -> str:
        """Say who holds the lease."""
        if not self.lock:
            return "free"
        if self.lock.get("expired"):
            return f"free (the lease of {self.lock.get('owner')} expired: {self._left})"
        return (
            f"held by {self.lock.get('owner')}: {self.lock.get('reason')}, "
            f"number {self.lock.get('number')}, expires {self.lock.get('expires')}"
        )

    @property
    def _left(self) -> str:
        """Say what an expired lease was for, and who goes on with it."""
        reason = str((self.lock or {}).get("reason"))
        if reason.startswith(("deploy ", "abort ")):
            return f"{reason} was interrupted; resume goes on, abort takes it back"
        return reason

    def as_json(self) -> Event:
        """Return the state as plain JSON."""
        told = asdict(self)
        del told["settled_seconds"]  # another one at every look
        return {"type": "host", **told}

    def as_text(self) -> str:
        """Return the state as one line for a person."""
        warm = ", ".join(colour for colour in self.running if colour != self.live) or "none"
        if "app" not in self.groups:
            return f"{self.host:<12} {','.join(self.groups):<14} lock {self.lock_words}"
        unconfirmed = "" if self.live == self.confirmed else " (not confirmed)"
        return (
            f"{self.host:<12} {','.join(self.groups):<14} live {self.live or 'nothing'}"
            f"{unconfirmed}, back to {self.previous or 'nothing'}, warm {warm}, "
            f"lock {self.lock_words}"
        )


def host_states(fleet: Fleet, hosts: Sequence[Host]) -> dict[str, HostState]:
    """Ask every host for its state, all at once."""
    answers = operate.states(fleet, hosts).each("state")
    return {host.name: _state(host, answers[host.name]) for host in hosts}


def _state(host: Host, answer: Event) -> HostState:
    releases, since = answer.get("releases") or [], answer.get("since") or {}
    return HostState(
        host=host.name,
        groups=tuple(group for group in host.groups if group != "all"),
        live=answer.get("live"),
        previous=answer.get("previous"),
        confirmed=answer.get("confirmed"),
        running=tuple(str(entry["colour"]) for entry in releases if entry.get("running")),
        placed=tuple(str(entry["colour"]) for entry in releases),
        pending=answer.get("pending"),
        lock=answer.get("lock"),
        history=tuple(answer.get("history") or ()),
        contracted=tuple(answer.get("contracted") or ()),
        since=since.get("at"),
        settled_seconds=since.get("seconds"),
    )


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
            host.name: _state(host, dict(answers.replies[host.name]["state"].result))
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
        refuse_held(known, environment)
    live = agreed(known, "live", environment)
    if live != agreed(known, "confirmed", environment):
        raise Unconfirmed(
            f"{live} is live and was never confirmed: a deployment ended half way",
            hint=f"changeover resume --env {environment}, or changeover abort --env {environment}",
        )
    return live


def refuse_held(states: Iterable[HostState], environment: str) -> None:
    """Refuse while a deployment is under way.

    Raises:
        LockHeld: Somebody holds the lease of a host.
    """
    for state in states:
        if state.lock and not state.lock.get("expired"):
            raise LockHeld(
                f"{state.lock.get('owner')} holds the lock: {state.lock.get('reason')}",
                hint=_beside(str(state.lock.get("reason")), environment),
                host=state.host,
                cause=f"since {state.lock.get('since')}, expires {state.lock.get('expires')}",
            )


def _beside(reason: str, environment: str) -> str:
    """Return what to type where a lease is held: it may be that of a process that is gone."""
    kind = reason.partition(" ")[0]
    gone = {
        "deploy": f"changeover resume --env {environment} goes on, changeover abort takes it back",
        "abort": f"changeover abort --env {environment} goes on",
        "rollback": f"changeover rollback --env {environment} goes on",
    }.get(kind, "the same command takes it over")
    look = f"wait, or look: changeover lock status --env {environment}"
    return f"{look}; where its process is gone, {gone}"


class Overtaken(Failed):
    """What a plan was made for is not what is live once the lease is held."""


def refuse_overtaken(
    fleet: Fleet, hosts: Sequence[Host], planned: str | None, *, hint: str
) -> None:
    """Refuse a plan that others overtook between its making and its lease.

    Args:
        fleet: The hosts; their lease is held.
        hosts: Those that run the app.
        planned: The colour that was live and confirmed when the plan was made.
        hint: What shows the plan as it would be now.

    Raises:
        Overtaken: Another colour is live on a host now, or another is confirmed.
    """
    for state in host_states(fleet, hosts).values():
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
