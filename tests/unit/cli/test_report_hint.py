"""A report that there is none of names the list to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.cli import status
from changeover.journal import DeploymentUnknown

if TYPE_CHECKING:
    from tests.unit.conftest import Project


def test_the_next_command_names_the_environment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))

    with pytest.raises(DeploymentUnknown) as caught:
        status.report("20260115T101500-3fa2c1", env="demo")

    assert caught.value.hint == "changeover history --env demo"
