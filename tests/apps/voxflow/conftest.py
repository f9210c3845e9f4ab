from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.apps.voxflow.system import System, bring, emptied, redis_server, serving
from tests.postgres.own_server import fresh_shop, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres.own_server import Server, Shop


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def cache_server() -> Iterator[Path]:
    with redis_server() as socket:
        yield socket


@pytest.fixture
def cache(cache_server: Path) -> str:
    """Give the address of a Redis that has counted nobody yet."""
    return emptied(cache_server)


@pytest.fixture
def shop(postgres_server: Server) -> Iterator[Shop]:
    """Give an empty database."""
    with fresh_shop(postgres_server) as made:
        yield made


@pytest.fixture
def tenants(shop: Shop, cache: str) -> Iterator[System]:
    """Give 2.0.0 with nobody but the administrator and the account of smoke checks."""
    bring(shop, "1.0.0", "2.0.0")
    with serving("2.0.0", shop, cache) as system:
        yield system
