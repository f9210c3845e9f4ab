"""What one host says of an app: what is live on it, what else is there, and who holds its lease."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.inventory import Host

Event = dict[str, Any]
# Who takes the page away again: whoever wanted it.
_WANTED = {"hand": "by hand", "deployment": "for a deployment"}


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
        maintenance: Whether users get the page of maintenance, who wants that, and whether the live
            site could show it; ``None`` where the agent does not say.
        canary: The share of clients that is on another colour: colour, percent, deployment.
        shares: Whether the live site can send a share of the clients to another colour.
        settled_seconds: For how long that is so, by the host's own clock.
        fenced: The app hosts that it keeps users from, as a balancer: since when, why, and by which
            deployment.
        at_work: The requests that change something there just now: unit, deployment, action, since.
        websockets: How many WebSockets are open, by colour; colours without any are left out.
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
    maintenance: Event | None = None
    settled_seconds: float | None = None
    fenced: Mapping[str, Event] = field(default_factory=dict)
    at_work: tuple[Event, ...] = ()
    websockets: Mapping[str, int] = field(default_factory=dict)
    canary: Event | None = None
    shares: bool = False

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
    def page_words(self) -> str:
        """Say since when users get the page of maintenance, and who wants that; empty where they do not."""
        page = self.maintenance or {}
        if not page.get("on"):
            return ""
        wishes = [(words, page[kind]) for kind, words in _WANTED.items() if page.get(kind)]
        said = [
            f"since {wish['since']} by {wish['by']}, {words}{_about(wish['reason'])}{_through(wish)}"
            for words, wish in wishes
        ]
        return f"maintenance page {'; '.join(said) or 'shown'}"

    @property
    def _left(self) -> str:
        """Say what an expired lease was for, and who goes on with it."""
        reason = str((self.lock or {}).get("reason"))
        if reason.startswith(("deploy ", "abort ")):
            return f"{reason} was interrupted; resume goes on, abort takes it back"
        return reason

    @property
    def _websocket_words(self) -> str:
        parts = [f"{count} on {colour}" for colour, count in sorted(self.websockets.items())]
        return f"WebSockets {' and '.join(parts)}, " if parts else ""

    @property
    def _canary_words(self) -> str:
        share = self.canary
        return f" ({share['percent']}% of the clients on {share['colour']})" if share else ""

    def as_json(self) -> Event:
        """Return the state as plain JSON."""
        told = asdict(self)
        del told["settled_seconds"]  # another one at every look
        told["canary"] = {**self.canary} if self.canary else None
        (told["canary"] or {}).pop("seconds_left", None)
        return {"type": "host", **told}

    def as_text(self) -> str:
        """Return the state as one line for a person."""
        warm = ", ".join(colour for colour in self.running if colour != self.live) or "none"
        if "app" not in self.groups:
            return (
                f"{self.host:<12} {','.join(self.groups):<14} lock {self.lock_words}{self._at_work}"
            )
        unconfirmed = "" if self.live == self.confirmed else " (not confirmed)"
        return (
            f"{self.host:<12} {','.join(self.groups):<14} live {self.live or 'nothing'}"
            f"{unconfirmed}{self._canary_words}, back to {self.previous or 'nothing'}, warm {warm}, "
            f"{self._websocket_words}lock {self.lock_words}"
            f"{f', {self.page_words}' if self.page_words else ''}{self._at_work}"
        )

    @property
    def _at_work(self) -> str:
        return "".join(f"\n{'':<12} at work: {work_words(one)}" for one in self.at_work)


def work_words(one: Event) -> str:
    """Say what is at work, for whom, since when, and what systemd calls it."""
    unit = f" ({one['unit']})" if one.get("unit") else ""
    what = one.get("action") or "a request"
    return f"{what} of {one.get('deployment')} since {one.get('since')}{unit}"


def _about(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _through(wish: Event) -> str:
    let = [*wish["allow"], *(["testers"] if wish["tester"] else [])]
    return f", not for {', '.join(let)}" if let else ""


def read(host: Host, answer: Mapping[str, Any]) -> HostState:
    """Return what an agent answered as the host's state."""
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
        maintenance=answer.get("maintenance"),
        settled_seconds=since.get("seconds"),
        fenced=answer.get("fenced") or {},
        at_work=tuple(answer.get("at_work") or ()),
        websockets={
            str(entry["colour"]): int(entry["websockets"])
            for entry in releases
            if entry.get("websockets")
        },
        canary=answer.get("canary"),
        shares=bool(answer.get("shares")),
    )
