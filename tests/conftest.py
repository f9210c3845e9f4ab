"""Which tests may run at the same time: those that share a lab go one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

# Beside each folder's own lab: two that deploy would sign the same built bundle with two keys.
TOGETHER = ("tests/lab/agent/", "tests/lab/", "tests/faults/")


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Keep a file's tests together, and those of a folder that shares a lab."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)
