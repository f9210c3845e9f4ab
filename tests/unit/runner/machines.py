"""The hosts of an environment without machines, and their database."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.unit.runner.machine import MOMENT, OLD, Event, Machine

from changeover.database import Database
from changeover.executors.migrate.ledger import MigrationRow
from changeover.remote.failures import HostUnreachable
from changeover.remote.line import Line, Reply
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from changeover.inventory import Environment, Host
    from changeover.release import App


class MachineLine(Line):
    """A kept connection to such a host; it notes who used it."""

    def __init__(self, machines: Machines, host: Host) -> None:
        self.machine = machines[host.name]
        self.machines = machines
        machines.lines.append(self)

    def agent(
        self, request: Mapping[str, Any], report: Callable[[Event], None], **_: object
    ) -> list[Reply]:
        del report
        try:
            return self.machine.answer(dict(request))
        finally:
            names = [action["action"] for action in request["actions"]]
            self.machines.calls.append((time.monotonic(), self, self.machine.name, names))

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Machines:
    """The hosts of the demo environment: ``one`` and ``two`` run the app, ``three`` its database."""

    machines: dict[str, Machine] = field(
        default_factory=lambda: {name: Machine(name) for name in ("one", "two", "three")}
    )
    lines: list[MachineLine] = field(default_factory=list)
    calls: list[tuple[float, MachineLine, str, list[str]]] = field(default_factory=list)
    contracted: list[str] = field(default_factory=list)
    ledger_fence: int = 0

    @contextlib.contextmanager
    def database(self, environment: Environment, _: App) -> Iterator[Database]:
        """Reach the database on ``three``, as its owner."""
        if not self["three"].reachable:
            raise HostUnreachable("three does not answer SSH", hint="start the host", host="three")
        yield Database(
            host="127.0.0.1",
            port=1,
            name="hello",
            user="hello_owner",
            password=Secret("x"),
            environment=environment.name,
        )

    def ledger(self, _: Database) -> tuple[MigrationRow, ...]:
        """Return the contract migrations that the ledger says ran."""
        return tuple(
            MigrationRow(
                id=each,
                position=number,
                release=each.partition("/")[0],
                phase="contract",
                checksum="",
                state="applied",
                started_at=MOMENT,
                changed_at=MOMENT,
            )
            for number, each in enumerate(self.contracted)
        )

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    def connect(self, _: Environment, host: Host) -> Line:
        return MachineLine(self, host)

    def before_deployment(self) -> None:
        """Have all app hosts serve the old version, with the new one placed."""
        for name in ("one", "two"):
            machine = self.machines[name]
            machine.live = machine.confirmed = OLD
            machine.history, machine.running = [], [OLD]

    @property
    def live(self) -> list[str]:
        """What the app hosts send users to."""
        return [self.machines[name].live for name in ("one", "two")]

    @property
    def order(self) -> list[tuple[str, str]]:
        """What was asked of whom, in order."""
        return [(host, name) for _, _, host, names in self.calls for name in names]
