from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.apps.onboarding.desk import Desk, alone
from tests.postgres.own_server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def desk(postgres_server: Server) -> Iterator[Desk]:
    """Give the app with nobody and nothing in its database."""
    with alone(postgres_server) as made:
        yield made
