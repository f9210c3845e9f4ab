"""The lease on every host: taken before anything is changed, renewed, given back."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from changeover.errors import ChangeoverError, Failed, LockHeld
from changeover.remote.failures import AgentFailed, SessionLost
from changeover.remote.fleet import Action, Answers, Fleet, action, call, on_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.inventory import Host

# A host that did not answer a renewal is asked again after this many seconds.
RETRY_SECONDS = 5.0
LEAVE_SECONDS = 2.0
# What takes moments on a host that lives; an agent beats every 3 s.
LET_GO_SECONDS = 8.0


class LeaseTaken(LockHeld):
    """Somebody else holds the lease now: what they do next is theirs to decide."""


class LeaseUnrenewed(Failed):
    """A host was not reached for as long as its lease lives: it may be another's by now."""


def lock(fleet: Fleet, hosts: Sequence[Host], reason: str, seconds: int, *, steal: bool) -> None:
    """Take the lease on every host and hear its state; give back what was taken when one refuses.

    Raises:
        LockHeld: Another deployment holds it, on the host that the error names.
    """
    name = "steal" if steal else "lock"
    asked = {"owner": fleet.owner, "reason": reason, "ttl_seconds": seconds, "nonce": fleet.nonce}

    def request(host: Host) -> list[Action]:
        least = {"at_least": fleet.beyond[host.name] + 1} if host.name in fleet.beyond else {}
        return [action(name, **asked, **least), action("state")]

    answers = on_each(fleet, hosts, request, again=True)
    for host, replies in answers.replies.items():
        fleet.fences[host] = int(replies[name].result["number"])
        fleet.seen[host] = dict(replies["state"].result)
        if before := replies[name].result.get("from"):
            fleet.overtaken[host] = dict(before)
    if not answers.errors:
        return
    _let_go(fleet, [host for host in hosts if host.name in answers.errors], asked, answers.errors)
    unlock(fleet, [host for host in hosts if host.name in fleet.fences])
    for host, error in answers.errors.items():
        if isinstance(error, AgentFailed) and error.error == "lock-held":
            raise _held(fleet, host, error) from error
    answers.check()


def _let_go(
    fleet: Fleet, hosts: Sequence[Host], asked: Action, errors: Mapping[str, ChangeoverError]
) -> None:
    """Learn the number of a lease that may have been taken where what came after it was red.

    The same nonce takes it again, under the same number, and what was not taken is taken now: either
    way it can be given back. Where nobody answers it expires.
    """
    began = [host for host in hosts if not _untaken(errors[host.name])]
    again = on_each(fleet, began, lambda _: [action("lock", **asked)], give_up=LET_GO_SECONDS)
    for name, replies in again.replies.items():
        fleet.fences[name] = int(replies["lock"].result["number"])
    for name, error in again.errors.items():
        if not (isinstance(error, AgentFailed) and error.error == "lock-held"):
            left = f"the lease that may be held on {name} expires within {asked['ttl_seconds']} s"
            errors[name].cause = "\n".join(filter(None, (errors[name].cause, left)))


def _untaken(error: ChangeoverError) -> bool:
    """Tell whether the lease was not taken for certain: another holds it, or nothing was asked."""
    if isinstance(error, AgentFailed):
        return error.error in {"lock-held", "unknown-app", "bad-request"}
    return not isinstance(error, SessionLost)


def _held(fleet: Fleet, host: str, error: AgentFailed) -> LockHeld:
    holder = error.detail.get("holder") or error.detail.get("detail", {}).get("holder") or {}
    return LockHeld(
        f"{holder.get('owner', 'someone')} holds the lock of {fleet.app}: "
        f"{holder.get('reason', 'no reason given')}",
        hint=f"wait, or look: changeover lock status --env {fleet.environment.name}",
        host=host,
        cause=f"since {holder.get('since', '?')}, expires {holder.get('expires', '?')}",
    )


def unlock(fleet: Fleet, hosts: Sequence[Host]) -> Answers:
    """Give the lease back on the hosts where it was taken."""
    held = [host for host in hosts if host.name in fleet.fences]
    answers = on_each(fleet, held, lambda _: [action("unlock")], again=True)
    for name in answers.replies:
        fleet.fences.pop(name, None)
    return answers


def taken(fleet: Fleet, error: ChangeoverError) -> LeaseTaken | None:
    """Return what a refusal means where a host refused us because its lease is another's."""
    if isinstance(error, LeaseTaken):
        return error
    if not isinstance(error, AgentFailed) or error.error != "fenced":
        return None
    name = fleet.environment.name
    return LeaseTaken(
        f"the lease on {error.host} is ours no more, so this run stops: {error.message}",
        hint=f"changeover status --env {name} shows who acts, and on what",
        host=error.host,
        cause=error.cause,
    )


class Heartbeat:
    """Renews the lease in the background, a third of its life apart, until it is left.

    Each host has a thread and a connection of its own: neither a slow host nor a long action keeps
    the lease of another from being renewed.

    Args:
        fleet: Whose lease it is.
        hosts: The hosts that hold it.
        seconds: How long a lease lives without being renewed.
    """

    def __init__(self, fleet: Fleet, hosts: Sequence[Host], seconds: float) -> None:
        self._fleet = fleet
        self._seconds = seconds
        self._left = threading.Event()
        self._renewed: dict[str, float] = {}
        self._refused: dict[str, LeaseTaken] = {}
        self._threads = [
            threading.Thread(
                target=self._beat, args=(host,), name=f"lease {host.name}", daemon=True
            )
            for host in hosts
        ]

    def __enter__(self) -> Self:
        """Begin to renew."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop renewing; the lease then lives until it is given back or expires."""
        self._left.set()
        end = time.monotonic() + LEAVE_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))

    def check(self) -> None:
        """Return while every lease is held.

        Raises:
            LeaseTaken: A host says that it is another's.
            LeaseUnrenewed: A host was not reached for as long as a lease lives.
        """
        for refused in self._refused.values():
            raise refused
        for host, renewed in self._renewed.items():
            silent = time.monotonic() - renewed
            if silent >= self._seconds and host in self._fleet.fences:
                raise LeaseUnrenewed(
                    f"{host} was not reached for {silent:.0f} s: its lease has expired",
                    hint=f"changeover status --env {self._fleet.environment.name}",
                    host=host,
                )

    def _beat(self, host: Host) -> None:
        line = self._fleet.connect(self._fleet.environment, host)
        pause = rhythm = self._seconds / 3
        while not self._left.wait(pause):
            pause = rhythm
            if host.name not in self._fleet.fences:
                continue
            self._renewed.setdefault(host.name, time.monotonic() - rhythm)
            try:
                renew = action("renew", ttl_seconds=self._seconds)
                call(self._fleet, host, [renew], line=line)
                self._renewed[host.name] = time.monotonic()
            except ChangeoverError as error:
                error.host = error.host or host.name
                refused = taken(self._fleet, error)
                if refused and host.name in self._fleet.fences and not self._left.is_set():
                    self._refused[host.name] = refused
                    break
                pause = min(rhythm, RETRY_SECONDS)
        line.close()
