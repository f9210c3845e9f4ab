"""A server that goes away in the middle, told or crashed: the plain re-run goes on from there."""

from __future__ import annotations

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.postgres import gate
from tests.postgres.moments import until
from tests.postgres.own_server import connect

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.own_server import Runner, Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

TRANSACTIONAL = {
    "expand/002_log.sql": "INSERT INTO log VALUES ('002'); ALTER TABLE users ADD COLUMN city text;"
    "SELECT pass(); INSERT INTO log VALUES ('after')"
}
BACKFILL = {"backfill/001_copied.sql": gate.BACKFILL}
INDEX = {"expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name)"}
HOWS = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
ENDED = (failures.ConnectionLost, failures.RunnerLockLost)


@pytest.fixture
def users(shop: Shop, release: Release) -> Shop:
    migrate.apply(shop.owner, release({"expand/001_users.sql": gate.USERS}))
    return shop


def cut(shop: Shop, folder: MigrationFolder, reached: str, how: signal.Signals) -> None:
    """Restart the server once the run has reached a place that a query tells."""
    with ThreadPoolExecutor(1) as pool:
        runner = pool.submit(migrate.apply, shop.owner, folder)
        until(lambda: shop.rows(reached))
        shop.server.stop(how)
        try:
            with pytest.raises(ENDED) as caught:
                runner.result(timeout=60)
        finally:
            shop.server.start()
    assert "run the same command again" in caught.value.hint


@HOWS
def test_a_transaction_is_whole_or_not_there(
    users: Shop, release: Release, how: signal.Signals
) -> None:
    folder = release(TRANSACTIONAL)
    cut(users, folder, gate.WAITING, how)
    assert users.rows("SELECT line FROM log") == []
    users.rows(gate.OPEN)

    assert migrate.apply(users.owner, folder).done == ("1.0.0/expand/002_log",)

    assert users.rows("SELECT line FROM log ORDER BY 1") == [("002",), ("after",)]


@HOWS
def test_a_backfill_goes_on_after_its_last_batch(
    users: Shop, release: Release, how: signal.Signals
) -> None:
    folder = release(BACKFILL)
    cut(users, folder, gate.WAITING, how)
    assert 0 < users.value("SELECT count(copied) FROM users") < gate.HALF
    users.rows(gate.OPEN)

    migrate.apply(users.owner, folder)

    assert users.value("SELECT bool_and(copied = name) FROM users")


def test_the_end_of_a_session_is_told_once_and_in_our_words(
    users: Shop, release: Release, start_runner: Callable[..., Runner]
) -> None:
    runner = start_runner(users, release(BACKFILL))
    until(lambda: users.rows(gate.WAITING))

    users.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'changeover migrate work'"
    )

    said = runner.end()
    assert said.startswith(f"ConnectionLost: {users.name} ended the session: ")
    assert "psycopg" not in said


@HOWS
def test_an_index_that_was_cut_is_built_anew(
    users: Shop, release: Release, how: signal.Signals
) -> None:
    folder = release(INDEX)
    events: list[dict[str, object]] = []
    # the server ends it, so there is nothing to commit
    with contextlib.closing(connect(users.admin)) as blocker:
        blocker.execute("BEGIN; INSERT INTO users (id) VALUES (0)")
        cut(users, folder, "SELECT 1 FROM pg_index WHERE NOT indisvalid", how)
    assert users.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid"), "as every tool leaves it"

    migrate.apply(users.owner, folder, report=events.append)

    assert [event["how"] for event in events if event["type"] == "statement"] == ["healed"]
    assert users.value("SELECT bool_and(indisvalid) FROM pg_index")
