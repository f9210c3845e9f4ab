"""The lease on every host: taken before anything is changed, renewed, given back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from changeover import ssh
from changeover.errors import LockHeld
from changeover.fleet import Answers, Fleet, action, on_each
from changeover.ssh_failures import AgentFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host


def lock(fleet: Fleet, hosts: Sequence[Host], reason: str, seconds: int, *, steal: bool) -> None:
    """Take the lease on every host; give back what was taken when one refuses.

    Raises:
        LockHeld: Another deployment holds it, on the host that the error names.
    """
    name = "steal" if steal else "lock"
    request = action(name, owner=fleet.owner, reason=reason, ttl_seconds=seconds, nonce=fleet.nonce)
    answers = on_each(fleet, hosts, lambda _: [request])
    for host, replies in answers.replies.items():
        fleet.fences[host] = int(replies[name].result["number"])
    if not answers.errors:
        return
    unlock(fleet, [host for host in hosts if host.name in answers.replies])
    for host, error in answers.errors.items():
        if isinstance(error, AgentFailed) and error.error == "lock-held":
            raise _held(fleet, host, error) from error
    answers.check()


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
    answers = on_each(fleet, held, lambda _: [action("unlock")])
    for name in answers.replies:
        fleet.fences.pop(name, None)
    return answers


class Heartbeat:
    """Renews the lease in the background, a third of its life apart, until it is left."""

    def __init__(self, fleet: Fleet, hosts: Sequence[Host], seconds: int) -> None:
        self._fleet = fleet
        self._hosts = hosts
        self._seconds = seconds
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        """Begin to renew."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop renewing; the lease then lives until it is given back or expires."""
        self._left.set()
        self._thread.join(timeout=ssh.CONNECT_SECONDS)

    def _beat(self) -> None:
        while not self._left.wait(self._seconds / 3):
            held = [host for host in self._hosts if host.name in self._fleet.fences]
            renew = action("renew", ttl_seconds=self._seconds)
            on_each(self._fleet, held, lambda _, renew=renew: [renew])  # type: ignore[misc]
