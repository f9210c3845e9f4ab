"""The exchange of two databases, among clients that come back faster than anybody renames."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.postgres.moments import until

from changeover.agent.backup import side_database, swap
from changeover.agent.backup.store import Store
from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

SWAPS = 20
CLIENTS = 4
# Sleeps between the moment a session is let in and the moment the server shows it to anybody.
SHOWN_LATE = "-c post_auth_delay=1"


@dataclasses.dataclass(slots=True)
class Crowd:
    """Clients that connect, ask one thing, stay until they are thrown out, and come back at once."""

    parameters: dict[str, Any]
    query: str = "SELECT 1"
    seen: list[tuple[Any, ...]] = dataclasses.field(default_factory=list)
    refused: int = 0
    gone: threading.Event = dataclasses.field(default_factory=threading.Event)

    def insist(self) -> None:
        while not self.gone.is_set():
            try:
                with psycopg.connect(**self.parameters, autocommit=True) as connection:
                    self.seen += connection.execute(self.query.encode()).fetchall()
                    while not self.gone.is_set():
                        connection.execute("SELECT pg_sleep(0.005)")
            except psycopg.OperationalError:
                self.refused += 1


@contextlib.contextmanager
def crowd(site: Site, clients: int, query: str = "SELECT 1", options: str = "") -> Iterator[Crowd]:
    # over the unix socket, where signing in costs nothing: nobody comes back sooner
    parameters = {
        "host": str(site.shop.server.directory),
        "port": site.shop.server.port,
        "dbname": site.shop.name,
        "user": f"{site.shop.name}_app",
        "options": options,
    }
    one = Crowd(parameters, query)
    threads = [threading.Thread(target=one.insist) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield one
    finally:
        one.gone.set()
        for thread in threads:
            thread.join()


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """Two databases that take turns at being the live one."""

    site: Site
    store: Store

    def swap(self, number: int) -> None:
        """Exchange them once."""
        with (
            Session(self.store.server, side_database.MAINTENANCE) as session,
            self.store.lock() as lock,
        ):
            side = self.store.side("spare")
            record = {
                "live": self.store.database,
                "live_oid": swap.oid(session, self.store.database),
                "side": side,
                "side_oid": swap.oid(session, side),
                "failed": self.store.side(f"{number:014}", "failed"),
            }
            swap.swap(self.store, session, record, lock)
            session.run(f"ALTER DATABASE {record['failed']} RENAME TO {side}")


@pytest.fixture
def pair(site: Site) -> Pair:
    server = Server(socket=str(site.shop.server.directory), port=site.shop.server.port)
    store = Store(root=site.backups, app="shop", database=site.shop.name, server=server)
    site.shop.server.run(f"CREATE DATABASE {store.side('spare')}")
    return Pair(site, store)


def test_twenty_swaps_among_clients_that_come_back_at_once(pair: Pair) -> None:
    with crowd(pair.site, CLIENTS) as clients:
        until(lambda: len(clients.seen) >= CLIENTS)
        for number in range(SWAPS):
            before = len(clients.seen)
            pair.swap(number)
            until(lambda before=before: len(clients.seen) > before)  # type: ignore[misc]

    assert clients.refused >= SWAPS


def test_a_session_that_was_let_in_and_is_not_shown_yet_does_not_hold_a_swap_up(
    pair: Pair,
) -> None:
    with crowd(pair.site, CLIENTS, options=SHOWN_LATE) as clients:
        for number in range(3):
            pair.swap(number)
        until(lambda: clients.refused >= CLIENTS)


def test_a_session_that_does_not_end_when_it_is_told_to_is_met_by_another_try(pair: Pair) -> None:
    with psycopg.connect(**pair.site.shop.app.parameters()) as connection:
        process = connection.info.backend_pid
        os.kill(process, signal.SIGSTOP)
        waker = threading.Timer(1.7, os.kill, (process, signal.SIGCONT))
        waker.start()
        pair.swap(0)
        waker.join()

    with psycopg.connect(**pair.site.shop.app.parameters()) as connection:
        assert connection.execute("SELECT to_regclass('users')").fetchone() == (None,)


def test_a_transaction_that_is_prepared_at_the_last_moment_opens_the_gate_at_once(
    pair: Pair,
) -> None:
    pair.site.shop.rows("BEGIN; INSERT INTO audit VALUES ('x'); PREPARE TRANSACTION 'late'")
    try:
        with pytest.raises(ActionError, match="is as it was and open") as refused:
            pair.swap(0)
    finally:
        pair.site.shop.rows("ROLLBACK PREPARED 'late'")

    assert "a prepared transaction keeps" in str(refused.value.cause)
    with psycopg.connect(**pair.site.shop.app.parameters()):
        pass


def test_who_is_let_in_first_finds_owner_grants_settings_and_statistics_there(site: Site) -> None:
    name, role = site.shop.name, f"{site.shop.name}_app"
    site.shop.rows(f"GRANT SELECT ON users TO {role}")
    site.create()
    site.act("backup_verify", backup="one", keep=True)
    site.shop.rows(
        f"""REVOKE ALL ON DATABASE {name} FROM PUBLIC;
        GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {role};
        ALTER DATABASE {name} SET work_mem = '5MB';
        ALTER ROLE {role} IN DATABASE {name} SET statement_timeout = '7s'"""
    )
    look = """SELECT oid::int, current_setting('work_mem'), current_setting('statement_timeout'),
        pg_get_userbyid(datdba), (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(datacl) a),
        (SELECT reltuples::int FROM pg_class WHERE oid = 'users'::regclass),
        (SELECT count(*) FROM pg_stats WHERE tablename = 'users' AND n_distinct <> 0)::int > 5
        FROM pg_database WHERE datname = current_database()"""
    with crowd(site, 2, look) as clients:
        until(lambda: clients.seen)
        old = clients.seen[0]
        done = site.act("backup_restore", backup="one")
        until(lambda: clients.seen[-1][0] != old[0])

    assert done["warm"]
    assert old[1:4] == ("5MB", "7s", f"{name}_owner")
    assert old[5:] == (-1, False)
    found = {seen[1:] for seen in clients.seen if seen[0] != old[0]}
    assert found == {(*old[1:5], 2000, True)}
