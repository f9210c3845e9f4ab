"""A project whose hosts are without machines, and what its runs told."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from changeover.errors import ChangeoverError
from changeover.runner.context import Context
from changeover.secret import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Project
    from tests.unit.runner.machine import Event
    from tests.unit.runner.machines import Machines

    from changeover.runner.run import Run


@dataclass
class Desk:
    """A project with such hosts, and what its runs told."""

    project: Project
    machines: Machines
    events: list[Event] = field(default_factory=list)

    @property
    def context(self) -> Context:
        made = OpenContext(
            root=self.project.root,
            environment=self.project.environment,
            app="hello",
            redactor=Redactor(),
            report=self.events.append,
        )
        made.machines = self.machines
        return made

    def run(self) -> Run:
        return self.context.run()

    def fill_disk(self) -> None:
        """Keep this controller from writing its journals, root or not."""
        folder = self.project.root / ".changeover"
        shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("")

    def says(self) -> str:
        return "\n".join(str(event.get("says") or event.get("message")) for event in self.events)


class OpenContext(Context):
    """A context whose runs reach the hosts of the test."""

    __slots__ = ("machines",)
    machines: Machines

    def run(self, deployment: str | None = None) -> Run:
        made = super().run(deployment)
        made.fleet.connect = self.machines.connect
        return made


def failed(act: Callable[[], object]) -> ChangeoverError:
    """Return the failure that something ends with."""
    with pytest.raises(ChangeoverError) as caught:
        act()
    return caught.value
