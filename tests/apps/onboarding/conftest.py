from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.apps.onboarding.desk import Desk, bring, serving
from tests.postgres.own_server import fresh_shop, running_server

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
    # the path of a socket may have 108 letters
    with (
        fresh_shop(postgres_server) as shop,
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
    ):
        bring(shop)
        with serving(shop, Path(folder)) as made:
            yield made
