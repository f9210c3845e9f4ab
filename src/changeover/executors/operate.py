"""Act on app hosts through their agents: place, start, switch, confirm, drain, revert, retire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover.counts import counted
from changeover.drained import Drained
from changeover.outcome import Outcome
from changeover.remote import hearing
from changeover.remote.fleet import Answers, Event, Fleet, action, on_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.inventory import Host
    from changeover.steps import Confirm, Drain, Place, PreviewSmoke, Retire, Revert, Start, Switch

HEALTH_SECONDS = 5
# What may not be cut moves users, which takes seconds.
END_SECONDS = 30


def states(
    fleet: Fleet, hosts: Sequence[Host], *, give_up: float = hearing.GIVE_UP_SECONDS
) -> Answers:
    """Ask every host which colours it has, which one is live, and who holds its lease.

    Args:
        fleet: Whose hosts they are.
        hosts: Which of them.
        give_up: After how many silent seconds a host is lost.
    """
    return on_each(fleet, hosts, lambda _: [action("state")], give_up=give_up)


def place(
    fleet: Fleet, hosts: Sequence[Host], step: Place, environments: Mapping[str, Mapping[str, str]]
) -> Outcome:
    """Have each host verify and unpack the uploaded bundle, with its own environment values."""
    answers = on_each(
        fleet,
        hosts,
        lambda host: [
            action(
                "place", digest=step.digest, colour=step.colour, env=dict(environments[host.name])
            )
        ],
    )
    results = answers.each("place")
    fresh = [host for host, result in results.items() if result.get("unpacked", True)]
    return Outcome(
        says=f"{step.colour} is on {counted(len(results), 'host')}",
        changed=bool(fresh),
        figures={"bytes": sum(int(result.get("bytes", 0)) for result in results.values())},
    )


def start(fleet: Fleet, hosts: Sequence[Host], step: Start) -> Outcome:
    """Start the colour on every host and wait until its health path answers 200."""
    actions = [
        action("start", colour=step.colour, timeout_seconds=step.seconds),
        action("health", colour=step.colour, timeout_seconds=step.seconds),
    ]
    results = on_each(fleet, hosts, lambda _: actions).each("start")
    slowest = max((int(result.get("started_ms", 0)) for result in results.values()), default=0)
    return Outcome(
        says=f"{step.colour} is healthy on {counted(len(results), 'host')} after {slowest} ms",
        figures={"started_ms": slowest},
    )


def ask(
    fleet: Fleet, hosts: Sequence[Host], step: PreviewSmoke, checks: Sequence[Event], name: str
) -> dict[str, Event]:
    """Have every host ask checks of its colour under the public name; return the answers by host."""
    request = action(
        "smoke", colour=step.colour, checks=list(checks), host=name, through=step.through
    )
    return on_each(fleet, hosts, lambda _: [request]).each("smoke")


def switch(
    fleet: Fleet, hosts: Sequence[Host], step: Switch, *, give_up: float = hearing.GIVE_UP_SECONDS
) -> tuple[Outcome, Answers]:
    """Rename on every host at once; the answers say which hosts did.

    Args:
        fleet: Whose hosts they are.
        hosts: Which of them.
        step: Where they go.
        give_up: After how many silent seconds a host is lost.
    """
    request = action(
        "switch",
        colour=step.colour,
        deadman_seconds=step.deadman_seconds,
        closing_seconds=step.closing_seconds,
    )
    answers = on_each(fleet, hosts, lambda _: [request], give_up=give_up)
    results = [dict(replies["switch"].result) for replies in answers.replies.values()]
    slowest = max((int(result.get("switch_us", 0)) for result in results), default=0)
    reloads = sum(bool(result.get("reloaded")) for result in results)
    left_open, lasting = _left_open(results), _lasting(results)
    outcome = Outcome(
        says=f"{step.before or 'nothing'} -> {step.colour} on {counted(len(results), 'host')}, "
        f"{slowest / 1000:.1f} ms, {counted(reloads, 'reload')} of Nginx{_open_words(left_open)}"
        f"{_lasting_words(lasting, step.before)}",
        figures={
            "switch_us": slowest,
            "reloads": reloads,
            "left_open": left_open,
            "websockets": lasting,
        },
    )
    return outcome, answers


def _left_open(results: Sequence[Event]) -> int:
    return sum(int(result.get("left_open") or 0) for result in results)


def _open_words(left_open: int) -> str:
    said = counted(left_open, "connection")
    return f", {said} from before still open at it" if left_open else ""


def _lasting(results: Sequence[Event]) -> int:
    return sum(int(result.get("websockets") or 0) for result in results)


def _lasting_words(count: int, colour: str | None) -> str:
    return f", {counted(count, 'WebSocket')} still on {colour}" if count else ""


def well(fleet: Fleet, hosts: Sequence[Host], colour: str) -> None:
    """Have all hosts answer 200 on a colour's health path once more.

    Raises:
        AgentFailed: One does not; a balancer hides from the checks outside that it is down.
    """
    health = action("health", colour=colour, timeout_seconds=HEALTH_SECONDS)
    on_each(fleet, hosts, lambda _: [health]).check()


def confirm(fleet: Fleet, hosts: Sequence[Host], step: Confirm) -> Outcome:
    """Disarm the dead-man on every host and make the colour the one that a boot brings back."""
    request = action("confirm", colour=step.colour)
    on_each(fleet, hosts, lambda _: [request], fresh=True).check()
    return Outcome(says=f"{step.colour} stays on {counted(len(hosts), 'host')}")


def drain(fleet: Fleet, hosts: Sequence[Host], step: Drain) -> tuple[Outcome, Drained]:
    """Close the old colour's connections, bring it back warm, and remove the colours before it."""

    def actions(_: Host) -> list[Event]:
        requests = [action("stop", colour=step.colour, drain_seconds=step.seconds)]
        if step.warm:
            requests.append(action("start", colour=step.colour, timeout_seconds=step.seconds + 30))
        requests.append(action("prune", keep=list(step.keep)))
        return requests

    results = on_each(fleet, hosts, actions, again=True).each("stop")
    slowest = max((int(result.get("stopped_ms", 0)) for result in results.values()), default=0)
    ended = Drained.of(result.get("websockets") or {} for result in results.values())
    says = f"{step.colour} drained in {slowest} ms{ended.words and f', {ended.words}'}"
    figures = {"stopped_ms": slowest, "websockets": ended.as_json()}
    return Outcome(says=says + (", warm" if step.warm else ""), figures=figures), ended


def revert(fleet: Fleet, hosts: Sequence[Host], step: Revert) -> tuple[Outcome, Answers]:
    """Rename back on every host at once, starting the colour first where it no longer runs."""
    where = {"to": step.colour} if step.colour else {"of": step.of or fleet.deployment}
    request = action("revert", closing_seconds=step.closing_seconds, **where)
    answers = on_each(fleet, hosts, lambda _: [request], again=True)
    results = [dict(replies["revert"].result) for replies in answers.replies.values()]
    slowest = max((int(result.get("switch_us", 0)) for result in results), default=0)
    reloads = sum(bool(result.get("reloaded")) for result in results)
    left_open, lasting = _left_open(results), _lasting(results)
    missing = f", not on {', '.join(answers.errors)}" if answers.errors else ""
    outcome = Outcome(
        says=f"back on {step.colour or 'nothing'} on {counted(len(results), 'host')}{missing}, "
        f"{slowest / 1000:.1f} ms{_open_words(left_open)}"
        f"{_lasting_words(lasting, 'the colour that users left')}",
        figures={
            "switch_us": slowest,
            "reloads": reloads,
            "left_open": left_open,
            "websockets": lasting,
        },
    )
    return outcome, answers


def stop(
    fleet: Fleet, hosts: Sequence[Host], colour: str, seconds: int, *, shut: bool = False
) -> Answers:
    """Stop a colour on every host; its connections are drained to the deadline.

    With ``shut`` it may be the live one, behind the page of maintenance.
    """
    # An older agent knows no page, and whoever goes back takes any agent.
    behind = {"shut": True} if shut else {}
    request = action("stop", colour=colour, drain_seconds=seconds, **behind)
    return on_each(fleet, hosts, lambda _: [request], again=True)


def retire(fleet: Fleet, hosts: Sequence[Host], step: Retire) -> Outcome:
    """Have each host stop the colours it has, and remove their code, units and environment files.

    A removal that was cut off before has left halves that no host tells as placed: they go, too.
    """
    requests = [
        {**action("retire", colour=colour, force=True), "id": f"retire-{colour}"}
        for colour in step.colours
    ]
    requests.append(action("withdraw"))
    on_each(fleet, hosts, lambda _: requests).check()
    return Outcome(says=f"{', '.join(step.colours) or 'nothing'} removed")


def withdraw(fleet: Fleet, hosts: Sequence[Host], deployment: str | None) -> Answers:
    """Have each host remove what a deployment put there that is taken back."""
    of = {"of": deployment} if deployment else {}
    return on_each(fleet, hosts, lambda _: [action("withdraw", **of)], again=True)


def contract_begins(fleet: Fleet, hosts: Sequence[Host], colour: str) -> None:
    """Have each host remember that the colour's contract migrations are begun."""
    on_each(fleet, hosts, lambda _: [action("contract_begins", colour=colour)]).check()


def end(fleet: Fleet, hosts: Sequence[Host]) -> Answers:
    """Have hosts end what requests of overtaken leases still do, or wait for it."""
    return on_each(fleet, hosts, lambda _: [action("end", seconds=END_SECONDS)])


def collect(fleet: Fleet, host: Host, colour: str) -> dict[str, Any]:
    """Return the colour's environment file, units and site: secret, for the backup only."""
    answers = on_each(fleet, [host], lambda _: [action("collect", colour=colour)])
    return answers.each("collect")[host.name]
