"""An app's own migrator as the runner runs and undoes it, on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.conftest import project, signing_key
from tests.unit.runner.conftest import NEW, desk, failed, machines

from changeover.executors import backup as backups
from changeover.runner import own_rehearsal

from .own_desk import OwnDesk, own_desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres.conftest import Shop
    from tests.unit.runner.conftest import Desk

__all__ = ["desk", "machines", "project", "signing_key"]
pytestmark = pytest.mark.postgres


@pytest.fixture
def own(desk: Desk, shop: Shop, signing_key: Path, monkeypatch: pytest.MonkeyPatch) -> OwnDesk:
    return own_desk(desk, shop, signing_key, monkeypatch)


def test_a_command_on_a_clone_that_changes_the_live_database_is_red(own: OwnDesk) -> None:
    run = own.run("d1")
    vault = backups.vault_of(run.fleet)

    error = failed(lambda: own_rehearsal.on_clone(run, vault, NEW, "a_clone", "command"))

    assert error.exit_code == 4
    assert "the live schema changed" in error.message
    assert "+CREATE TABLE public.made (" in str(error.cause)
