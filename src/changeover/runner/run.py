"""One run of a plan: what its steps work with, and how each of them is journaled."""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.errors import ChangeoverError
from changeover.fleet import Fleet
from changeover.journal import Journal, new_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from changeover.bundle import Bundle
    from changeover.inventory import Environment, Host
    from changeover.release import App, Release
    from changeover.secret import Redactor
    from changeover.steps import AnyStep, Outcome

Event = dict[str, Any]


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
    begun: float = field(default_factory=time.monotonic)

    @property
    def app_hosts(self) -> tuple[Host, ...]:
        """Return the hosts that run the app."""
        return self.environment.hosts_in("app")

    @property
    def lease_hosts(self) -> tuple[Host, ...]:
        """Return the hosts that hold the lease: those that run the app or its database."""
        names = {host.name for group in ("app", "db") for host in self.environment.hosts_in(group)}
        return tuple(host for host in self.environment.hosts if host.name in names)

    def note(self, event: Event) -> None:
        """Journal an event and report it."""
        self.report(self.journal.append(event))

    def step(self, step: AnyStep, act: Callable[[], Outcome]) -> Outcome:
        """Do one step, its intent journaled before and its outcome after it."""
        self.note({"type": "step-intent", "step": step.id, "kind": step.kind, "says": step.says})
        try:
            outcome = act()
        except ChangeoverError as error:
            self.note(
                {
                    "type": "step-failed",
                    "step": step.id,
                    "message": error.message,
                    "host": error.host,
                    "cause": error.cause,
                }
            )
            raise
        self.note(
            {
                "type": "step-done",
                "step": step.id,
                "says": outcome.says,
                "changed": outcome.changed,
                "figures": outcome.figures,
            }
        )
        return outcome

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

    def end(self, outcome: str, exit_code: int, message: str) -> Event:
        """Journal how the run ended, let the hosts go, and return the event."""
        self.fleet.close()
        event = self.journal.append(
            {
                "type": "deployment-end",
                "deployment": self.fleet.deployment,
                "outcome": outcome,
                "exit": exit_code,
                "message": message,
                "seconds": round(time.monotonic() - self.begun, 2),
                "sessions": self.fleet.sessions,
            }
        )
        self.report(event)
        return event


def open_run(
    root: Path,
    environment: Environment,
    app: App,
    redactor: Redactor,
    report: Callable[[Event], None],
    *,
    deployment: str | None = None,
) -> Run:
    """Return a run with an id, a nonce and a journal of its own."""
    identity = deployment or new_id()
    journal = Journal(journal_directory(root, environment) / f"{identity}.jsonl", redactor)
    fleet = Fleet(
        environment=environment,
        app=app.app,
        deployment=identity,
        owner=f"{getpass.getuser()}@{socket.gethostname()}",
        nonce=secrets.token_hex(16),
        report=report,
    )
    return Run(
        root=root, environment=environment, app=app, fleet=fleet, journal=journal, report=report
    )


def journal_directory(root: Path, environment: Environment) -> Path:
    """Return where this controller keeps the environment's journals."""
    return root / ".changeover" / environment.name.strip("/").replace("/", "_")
