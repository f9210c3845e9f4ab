"""A PostgreSQL server of the tests' own: started once a session, on a free loopback port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres import own_server
from tests.postgres.moments import Clock
from tests.postgres.own_server import (
    Runner,
    Server,
    Shop,
    connect,
    free_port,
    fresh_shop,
    new_server,
    running_server,
)

from changeover.executors.migrate import turn
from changeover.migrations.folder import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from changeover.migrations.records import MigrationFolder

__all__ = ["Runner", "Server", "Shop", "connect", "free_port", "new_server"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Give the session's server; databases in it belong to the test that made them."""
    with running_server() as server:
        yield server


@pytest.fixture
def shop(postgres_server: Server) -> Iterator[Shop]:
    """Give an empty database of this test alone; it is dropped afterwards."""
    with fresh_shop(postgres_server) as found:
        yield found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock that decides when the time of this process's runners is up."""
    monkeypatch.setattr(turn, "Deadline", (clock := Clock()).deadline)
    monkeypatch.setattr(turn, "SHOW_AFTER_SECONDS", 0.0)
    return clock


@pytest.fixture
def unused_port() -> int:
    """Give a loopback port nobody listens on."""
    return free_port()


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., MigrationFolder]:
    """Give a function that writes migration files (path to SQL) and loads the folder."""

    def write(files: Mapping[str, str], version: str = "1.0.0") -> MigrationFolder:
        folder = tmp_path / version
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return load(folder, version)

    return write


@pytest.fixture
def start_runner() -> Iterator[Callable[..., Runner]]:
    """Give a function that starts a runner on a folder; what still runs is killed afterwards."""
    runners: list[Runner] = []

    def start(shop: Shop, folder: MigrationFolder, **options: object) -> Runner:
        runners.append(own_server.start_runner(shop, folder, **options))
        return runners[-1]

    yield start
    for runner in runners:
        if runner.process.poll() is None:
            runner.kill()
        for stream in (runner.process.stdout, runner.process.stderr):
            if stream is not None:
                stream.close()
