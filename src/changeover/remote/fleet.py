"""The hosts of one app, asked at once: one agent request a host a phase."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from changeover import agent_archive
from changeover.errors import ChangeoverError
from changeover.remote import hearing
from changeover.remote.failures import HostSilent, HostUnreachable, SessionLost
from changeover.remote.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from changeover.inventory import Environment, Host
    from changeover.remote.line import Reply

Action = dict[str, Any]
T = TypeVar("T")
Event = dict[str, Any]
PROTOCOL = 1
# A person who interrupts is answered; the hosts go on to the end of the action at hand by themselves.
LEAVE_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The hosts of one app in one environment, and what this deployment holds on them.

    Args:
        environment: Where the hosts are.
        app: The app that is acted on.
        deployment: The id that the hosts journal actions under.
        owner: Who holds the lease, for people: ``user@machine``.
        nonce: Proves to the hosts that the lease is ours.
        report: Hears what agents say on the way.
        any_agent: Work with agents of another version: looking and going back must not wait for
            provisioning.
        fences: The fencing number by host, filled by ``lock``.
        beyond: The number by host that a lease's has to exceed: a host that was made anew counts
            from 1 again, what it guards does not.
        seen: What each host said of itself right after its lease was taken.
        overtaken: The lease by host that ours followed: nobody gave it back.
        sessions: How many requests each host was sent; renewals of the lease are not among them.
        connect: Opens the kept connection to a host.
        lines: The kept connections by host; several fleets of one command may share them.
    """

    environment: Environment
    app: str
    deployment: str
    owner: str
    nonce: str
    report: Callable[[Event], None]
    any_agent: bool = False
    fences: dict[str, int] = field(default_factory=dict)
    beyond: dict[str, int] = field(default_factory=dict)
    seen: dict[str, Event] = field(default_factory=dict)
    overtaken: dict[str, Event] = field(default_factory=dict)
    sessions: Counter[str] = field(default_factory=Counter)
    connect: Callable[[Environment, Host], Line] = Line
    lines: dict[str, Line] = field(default_factory=dict)
    _count: threading.Lock = field(default_factory=threading.Lock)

    def line(self, host: Host) -> Line:
        """Return the kept connection to a host, and count one session on it."""
        with self._count:
            self.sessions[host.name] += 1
            if host.name not in self.lines:
                self.lines[host.name] = self.connect(self.environment, host)
                self.lines[host.name].shared = True
            return self.lines[host.name]

    def close(self) -> None:
        """End the kept connections."""
        for line in self.lines.values():
            line.close()


@dataclass(frozen=True, slots=True)
class Answers:
    """What every host answered: replies by action id, or the error that ended it."""

    replies: Mapping[str, Mapping[str, Reply]]
    errors: Mapping[str, ChangeoverError]

    def each(self, action: str) -> dict[str, Event]:
        """Return the result of one action by host.

        Raises:
            ChangeoverError: The first host's failure, with the others named in its cause.
        """
        self.check()
        return {host: dict(replies[action].result) for host, replies in self.replies.items()}

    def check(self) -> None:
        """Raise the first host's failure, if there is one."""
        if not self.errors:
            return
        first, *others = self.errors.values()
        if others:
            first.cause = "\n".join(
                [first.cause or "", *(f"{error.host}: {error.message}" for error in others)]
            ).strip()
        raise first


def call(
    fleet: Fleet,
    host: Host,
    actions: Sequence[Action],
    *,
    fresh: bool = False,
    give_up: float = hearing.GIVE_UP_SECONDS,
    line: Line | None = None,
) -> dict[str, Reply]:
    """Run actions on one host in one session; return the replies by action id.

    Args:
        fleet: Whose host it is.
        host: The host.
        actions: What it is asked.
        fresh: Connect anew first.
        give_up: After how many silent seconds the host is lost.
        line: A connection of the caller's own, for what must not wait for the fleet's.
    """
    number = fleet.fences.get(host.name)
    request = {
        "protocol": PROTOCOL,
        "agent": "" if fleet.any_agent else agent_archive.expected_version(),
        "app": fleet.app,
        "deployment": fleet.deployment,
        "fence": None if number is None else {"number": number, "nonce": fleet.nonce},
        "actions": list(actions),
    }
    used = fleet.line(host) if line is None else line
    replies = used.agent(request, fleet.report, fresh=fresh, give_up=give_up)
    return {reply.id: reply for reply in replies}


def on_each(
    fleet: Fleet,
    hosts: Sequence[Host],
    actions: Callable[[Host], Sequence[Action]],
    *,
    fresh: bool = False,
    again: bool = False,
    give_up: float = hearing.GIVE_UP_SECONDS,
) -> Answers:
    """Run actions on every host at once and wait for all of them, whatever each one answers.

    Args:
        fleet: Whose hosts they are.
        hosts: Which of them.
        actions: What each is asked.
        fresh: Connect anew first.
        again: Ask a host once more whose session ended early: the actions may be done twice, and
            that end does not say that the host is lost.
        give_up: After how many silent seconds a host is lost.
    """
    replies: dict[str, dict[str, Reply]] = {}
    errors: dict[str, ChangeoverError] = {}

    leaving = threading.Event()

    def ask(host: Host) -> dict[str, Reply]:
        try:
            return call(fleet, host, actions(host), fresh=fresh, give_up=give_up)
        except SessionLost as lost:
            if not again or leaving.is_set() or isinstance(lost, HostSilent):
                raise
            try:
                return call(fleet, host, actions(host), fresh=fresh, give_up=give_up)
            except HostUnreachable as unreached:
                # What the first session began may be done all the same.
                raise lost from unreached

    def one(host: Host) -> None:
        try:
            replies[host.name] = ask(host)
        except ChangeoverError as error:
            error.host = error.host or host.name
            errors[host.name] = error

    with ThreadPoolExecutor(max_workers=max(1, min(32, len(hosts)))) as pool:
        asked = [pool.submit(one, host) for host in hosts]
        try:
            for each in asked:
                each.result()
        except KeyboardInterrupt:
            leaving.set()
            _leave(fleet, asked)
            raise
    return Answers(_ordered(hosts, replies), _ordered(hosts, errors))


def _ordered(hosts: Sequence[Host], found: Mapping[str, T]) -> dict[str, T]:
    """Return what hosts said in their order, whoever was first: what is told of it stays the same."""
    return {host.name: found[host.name] for host in hosts if host.name in found}


def _leave(fleet: Fleet, asked: Sequence[Future[None]]) -> None:
    """Give hosts a moment to end what they have begun; they end it without us, too."""
    try:
        if not all(each.done() for each in asked):
            says = f"interrupted: waiting up to {LEAVE_SECONDS:.0f} s for what the hosts have begun"
            fleet.report({"type": "waiting", "says": says})
        wait(asked, timeout=LEAVE_SECONDS)
    finally:
        fleet.close()


def action(name: str, **parameters: Any) -> Action:  # noqa: ANN401 - JSON values
    """Return one action of a request; its id is its name."""
    return {"id": name, "action": name, **parameters}
