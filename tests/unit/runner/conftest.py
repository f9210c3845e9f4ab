"""A project and its hosts, without machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import Desk
from tests.unit.runner.machine import MOMENT
from tests.unit.runner.machines import Machines

from changeover.executors.migrate import Rehearsals

if TYPE_CHECKING:
    from tests.unit.conftest import Project


@pytest.fixture
def machines() -> Machines:
    return Machines()


@pytest.fixture
def desk(project: Project, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a project whose newest version can run: it asks for one secret that nobody set."""
    secret = "    CALLBACK_SECRET: {type: string, secret: true, required: true}\n"
    project.edit(project.release_file("3.0.0"), secret, "")
    monkeypatch.setattr("changeover.runner.database.owner_database", machines.database)
    monkeypatch.setattr("changeover.executors.migrate.standing", machines.ledger)
    known = Rehearsals(undone={}, measured={}, now=MOMENT)
    monkeypatch.setattr("changeover.executors.migrate.recall", lambda _: known)
    monkeypatch.setattr("changeover.executors.migrate.pending", lambda *_: ())
    monkeypatch.setattr("changeover.executors.migrate.fence", lambda _: machines.ledger_fence)
    return Desk(project, machines)
