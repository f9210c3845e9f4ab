"""One run of a plan: what its steps work with, and how each of them is journaled."""

from __future__ import annotations

import contextlib
import getpass
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover import steps
from changeover.counts import counted
from changeover.errors import ChangeoverError
from changeover.executors.lease import Heartbeat
from changeover.journal import Journal, JournalUnwritable, new_id
from changeover.plan.order import LEASE_SECONDS
from changeover.remote import traffic
from changeover.remote.fleet import Fleet
from changeover.runner.lease.presence import Presence

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from changeover.bundle import Bundle
    from changeover.inventory import Environment, Host
    from changeover.outcome import Outcome
    from changeover.policy.absence import Policy
    from changeover.release import App, Release
    from changeover.remote.line import Line
    from changeover.runner.own.migrator import Rehearsed
    from changeover.secret import Redactor, Secret

Event = dict[str, Any]
# How a run ends that somebody has to go on with.
LEFT = {"interrupted", "mixed"}


@dataclass(slots=True, kw_only=True)
class Run:
    """What a run works with.

    Args:
        root: The project root.
        environment: Where it happens.
        app: What is moved.
        fleet: The hosts, and what this run holds on them.
        journal: The controller's journal of this run.
        report: Hears every event as it is journaled.
        release: The release that is moved to; ``None`` for runs that only go back.
        bundle: Its bundle, once built.
        values: Environment values by host name; secret.
        own: What the rehearsal of the app's own migrator came to, once there was one.
        tester: The token with which checks from outside get past the page of maintenance.
        shut: What a person has to know of a page that users get when the run ends; empty for none.
        left_open: The connections from before that reloads of Nginx have met so far.
        left_out: Why hosts are left out of this run, by host; nothing of it happens there.
        override: What was typed to do about app hosts that cannot be reached.
        unstoppable: Go on where an event cannot be journaled: what is left to do matters more to
            users than this controller's record of it, and the hosts keep journals of their own.
    """

    root: Path
    environment: Environment
    app: App
    fleet: Fleet
    journal: Journal
    report: Callable[[Event], None]
    release: Release | None = None
    bundle: Bundle | None = None
    values: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    own: Rehearsed | None = field(default=None, repr=False)
    tester: Secret | None = field(default=None, repr=False)
    shut: str = ""
    begun: float = field(default_factory=time.monotonic)
    left_open: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    override: Policy | None = None
    unstoppable: bool = False
    _whole: Environment | None = None
    _unjournaled: bool = False
    _heartbeat: Heartbeat | None = None
    _presence: Presence | None = None

    @property
    def app_hosts(self) -> tuple[Host, ...]:
        """Return the hosts that run the app."""
        return self.environment.hosts_in("app")

    @property
    def lease_hosts(self) -> tuple[Host, ...]:
        """Return the hosts that hold the lease: those that run the app or its database."""
        return self.environment.lease_hosts

    @property
    def whole(self) -> Environment:
        """Return the environment with the hosts that are left out."""
        return self._whole or self.environment

    @property
    def policy(self) -> Policy:
        """Return what to do about app hosts that cannot be reached: as typed, else as declared."""
        return self.override or self.whole.conduct.unreachable

    def leave_out(self, hosts: Mapping[str, str]) -> None:
        """Do nothing on these hosts from here on; users are kept from them elsewhere.

        Args:
            hosts: Why, by host.
        """
        self._whole = self.whole
        self.left_out.update(hosts)
        self.environment = self.fleet.environment = self.environment.without(hosts)
        for name in hosts:
            self.fleet.fences.pop(name, None)

    def note(self, event: Event) -> Event:
        """Journal an event, report it, and return it.

        Raises:
            JournalUnwritable: It cannot be written, and the run can still be stopped.
        """
        try:
            written = self.journal.append(event)
        except JournalUnwritable as error:
            if not self.unstoppable:
                raise
            self._tell_unjournaled(error)
            written = self.journal.spoken(event)
        self.report(written)
        return written

    def _tell_unjournaled(self, error: JournalUnwritable) -> None:
        if not self._unjournaled:
            self._unjournaled = True
            says = f"warning: this goes on without a journal: {error.message}: {error.cause}"
            self.report(self.journal.spoken({"type": "warning", "says": says}))

    @contextlib.contextmanager
    def holding(self, hosts: Sequence[Host]) -> Iterator[None]:
        """Renew the lease on these hosts all the while, and begin no step once it is lost."""
        with Heartbeat(self.fleet, hosts, LEASE_SECONDS) as heartbeat:
            self._heartbeat = heartbeat
            try:
                yield
            finally:
                self._heartbeat = None

    def step(
        self,
        step: steps.AnyStep,
        act: Callable[[], Outcome],
        *,
        going_back: bool = False,
    ) -> Outcome:
        """Do one step, its intent journaled before and its outcome after it.

        Args:
            step: The step.
            act: Does it.
            going_back: Begin it even where a lease is lost: a host that is another's refuses by
                itself, and the others must not be kept from going back.

        Raises:
            LeaseTaken, LeaseUnrenewed: The lease was lost; the step was not begun.
        """
        if self._heartbeat and not going_back:
            self._heartbeat.check()
        self.note({"type": "step-intent", "step": step.id, "kind": step.kind, "says": step.says})
        before = self.fleet.sessions.copy()
        try:
            outcome = act()
        except ChangeoverError as error:
            self._red(step, error)
            raise
        self.unstoppable |= isinstance(step, steps.Confirm)
        self.left_open += int(outcome.figures.get("left_open", 0))
        self._done(step, outcome, self.fleet.sessions - before)
        return outcome

    def _red(self, step: steps.AnyStep, error: ChangeoverError) -> None:
        self.note(
            {
                "type": "step-failed",
                "step": step.id,
                "message": error.message,
                "host": error.host,
                "cause": error.cause,
            }
        )

    def _done(self, step: steps.AnyStep, outcome: Outcome, sessions: Counter[str]) -> None:
        self.note(
            {
                "type": "step-done",
                "step": step.id,
                "says": outcome.says,
                "changed": outcome.changed,
                "figures": outcome.figures,
                "sessions": dict(sorted(sessions.items())),
            }
        )

    def begin(self, command: str, before: str | None, after: str | None, **facts: object) -> None:
        """Journal that the run begins."""
        self.note(
            {
                "type": "deployment-begin",
                "deployment": self.fleet.deployment,
                "command": command,
                "environment": self.environment.name,
                "app": self.app.app,
                "before": before,
                "after": after,
                "owner": self.fleet.owner,
                **facts,
            }
        )
        self._presence = Presence(self.journal.path)

    def end(self, outcome: str, exit_code: int, message: str) -> Event:
        """Journal how the run ended, let the hosts go, and return the event."""
        self.fleet.close()
        if self._presence:
            self._presence.end(left=outcome in LEFT or bool(self.fleet.fences))
        if self.left_open:
            met = counted(
                self.left_open, "connection from before was", "connections from before were"
            )
            message += f"; {met} still open at a reload of Nginx, WebSockets among them"
        if self.shut:
            message += f"; {self.shut}"
        if self.left_out:
            again = f"changeover catch-up --env {self.environment.name}"
            message += f"; left out: {', '.join(self.left_out)}: {again} brings back what is fenced"
        moved = traffic.METER.take()
        return self.note(
            {
                "type": "deployment-end",
                "deployment": self.fleet.deployment,
                "outcome": outcome,
                "exit": exit_code,
                "message": message,
                "seconds": round(time.monotonic() - self.begun, 2),
                "sessions": traffic.total(moved.values()).sessions,
                "traffic": {host: each.as_json() for host, each in moved.items()},
                "left_open": self.left_open,
                "says": traffic.words(moved),
            }
        )


def open_run(
    root: Path,
    environment: Environment,
    app: App,
    redactor: Redactor,
    report: Callable[[Event], None],
    *,
    deployment: str | None = None,
    lines: dict[str, Line] | None = None,
) -> Run:
    """Return a run with an id, a nonce and a journal of its own, on connections that are kept."""
    identity = deployment or new_id()
    journal = Journal(journal_directory(root, environment) / f"{identity}.jsonl", redactor)
    fleet = Fleet(
        environment=environment,
        app=app.app,
        deployment=identity,
        owner=f"{getpass.getuser()}@{socket.gethostname()}",
        nonce=secrets.token_hex(16),
        report=report,
        lines={} if lines is None else lines,
    )
    return Run(
        root=root, environment=environment, app=app, fleet=fleet, journal=journal, report=report
    )


def journal_directory(root: Path, environment: Environment) -> Path:
    """Return where this controller keeps the environment's journals."""
    return root / ".changeover" / environment.name.strip("/").replace("/", "_")
