"""The tunnel to the database holds for session after session, and tells when nobody listens."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import psycopg

from changeover import inventory, release
from changeover.remote.tunnel import open_tunnel
from changeover.runner.database import owner_database

from .live import APP, CHECKOUT

if TYPE_CHECKING:
    from changeover.database import Database

    from .live import User

SESSIONS = 40
AT_ONCE = 4
WAIT_SECONDS = 30
NOBODY_LISTENS = 9


def sessions_of(database: Database, answers: list[int]) -> None:
    """Open and end sessions one after the other, without a pause between them."""
    parameters: dict[str, Any] = database.parameters()
    for _ in range(SESSIONS):
        with psycopg.connect(**parameters) as connection:
            row = connection.execute("SELECT 1").fetchone()
        answers.append(row[0] if row else 0)


def test_sessions_that_follow_each_other_at_once_are_all_answered(user: User) -> None:
    environment = inventory.load(str(user.inventory), root=CHECKOUT)
    answers: list[int] = []
    with owner_database(environment, release.load_app(CHECKOUT, APP)) as database:
        clients = [
            threading.Thread(target=sessions_of, args=(database, answers)) for _ in range(AT_ONCE)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert answers == [1] * SESSIONS * AT_ONCE


def test_a_port_where_nobody_listens_ends_the_client_and_not_the_tunnel(user: User) -> None:
    environment = inventory.load(str(user.inventory), root=CHECKOUT)
    with open_tunnel(environment, environment.host("host1"), NOBODY_LISTENS) as address:
        for _ in range(2):
            with socket.create_connection(address, timeout=WAIT_SECONDS) as client:
                assert client.recv(1) == b""
