"""A database that lets nobody in: why, and what to type next, are told apart."""

from __future__ import annotations

import dataclasses
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.postgres.conftest import new_server
from tests.postgres.moments import until

from changeover import database
from changeover.executors import migrate
from changeover.executors.migrate import entry, failures
from changeover.remote.tunnel import forwarding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.conftest import Server, Shop

pytestmark = pytest.mark.postgres


def test_a_role_without_a_connection_left_is_told_so(shop: Shop) -> None:
    shop.rows(f"ALTER ROLE {shop.owner.user} CONNECTION LIMIT 0")

    with pytest.raises(failures.DatabaseFull, match=f"no connection left for {shop.owner.user}"):
        migrate.probe(shop.owner)


def test_a_database_without_a_connection_left_is_told_so(shop: Shop) -> None:
    shop.rows(f"ALTER DATABASE {shop.name} CONNECTION LIMIT 0")

    with pytest.raises(failures.DatabaseFull, match=r"no connection left") as caught:
        migrate.probe(shop.owner)

    assert caught.value.hint.startswith("end sessions that are not needed on test-db")


def test_a_tunnel_whose_far_end_is_refused_names_the_services_to_look_at(shop: Shop) -> None:
    def refused(_client: tuple[str, int]) -> object:
        raise OSError("Connection refused")

    with forwarding(refused) as (address, port):
        away = dataclasses.replace(
            shop.owner, host=address, port=port, label="db1", environment="production"
        )
        with pytest.raises(failures.DatabaseUnreachable, match=r"no PostgreSQL listens") as caught:
            migrate.probe(away)

    assert caught.value.host == "db1"
    assert caught.value.hint.startswith("changeover drift --env production names the services")


def test_a_server_that_says_nothing_is_given_up_and_not_called_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = dataclasses.replace(shop.owner, port=mute.getsockname()[1])
        with pytest.raises(failures.DatabaseUnreachable, match="does not answer") as caught:
            migrate.probe(silent)

    assert "timeout" in str(caught.value.cause)
    assert "drift" not in caught.value.hint


@pytest.fixture
def recovering() -> Iterator[tuple[Server, Path]]:
    """Give a server that recovers until a file is there."""
    directory = Path(tempfile.mkdtemp(prefix="changeover-postgres-", dir="/tmp"))
    server = new_server(directory)
    server.start()
    server.stop()
    go = directory / "go"
    with (server.data / "postgresql.conf").open("a") as settings:
        settings.write(f"restore_command = 'until test -e {go}; do sleep 0.05; done; false'\n")
    (server.data / "recovery.signal").touch()
    ended = threading.Event()

    def run() -> None:
        server.start()
        ended.wait()  # the server ends with the thread that started it

    first = len(server.log.read_text())  # on a busy machine the first start may have said so, too
    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: "the database system is starting up" in server.log.read_text()[first:])
    try:
        yield server, go
    finally:
        go.touch()
        ended.set()
        thread.join()
        server.stop()
        shutil.rmtree(directory)


def test_a_server_that_recovers_is_waited_for_and_not_for_ever(
    recovering: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, go = recovering
    with monkeypatch.context() as patch:
        patch.setattr(entry, "COMING_UP_SECONDS", 0.0)
        with pytest.raises(failures.DatabaseStarting, match=r"is coming up or recovering"):
            migrate.probe(server.admin())

    def pause(seconds: float) -> None:
        go.touch()
        time.sleep(seconds)

    monkeypatch.setattr(entry, "sleep", pause)
    assert migrate.probe(server.admin()).primary
    assert go.exists(), "it was refused once, waited, and was let in"
