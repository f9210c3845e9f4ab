"""Which tests may run at the same time: those that deploy go one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LABS = HERE / "lab"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests together, and all that share a provisioned lab or the built bundles."""
    for item in items:
        together = item.path
        if LABS in item.path.parents and LABS / "agent" not in item.path.parents:
            together = LABS
        item.add_marker(pytest.mark.xdist_group(str(together.relative_to(HERE))))
