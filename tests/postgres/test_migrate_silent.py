"""A server that stands still: every wait for it ends, and with the right words."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until

from changeover.executors import migrate
from changeover.executors.migrate import failures, turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.conftest import Shop
    from tests.postgres.moments import Clock

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

SESSION = "SELECT pid FROM pg_stat_activity WHERE application_name = 'changeover migrate {}'"
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
)
SLOW = {"expand/001_slow.sql": "SELECT pg_sleep(300)"}


@contextlib.contextmanager
def standing_still(process: int) -> Iterator[None]:
    """Let one process of the server answer nothing, as one that waits for a dead disk."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def process_of(shop: Shop, session: str) -> int:
    """Wait until the runner is at its slow statement and return one of its server processes."""
    until(lambda: shop.rows("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"))
    return int(shop.value(SESSION.format(session)))


def test_a_statement_that_cannot_be_cancelled_is_left_and_said_to_go_on(
    shop: Shop, release: Release, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "CANCEL_SECONDS", 1.0)
    folder = release(SLOW)
    with ThreadPoolExecutor(1) as pool:
        runner = pool.submit(migrate.apply, shop.owner, folder)
        with standing_still(process_of(shop, "work")):
            clock.stop()
            with pytest.raises(failures.ServerSilent, match="may still be at work") as caught:
                runner.result(timeout=60)
            clock.start()
            with pytest.raises(failures.RunnerBusy):
                migrate.apply(shop.owner, folder, deadline_seconds=0.5)
    assert caught.value.exit_code == 1
    assert caught.value.host == "test-db"

    migrate.apply(shop.owner, release({"expand/001_slow.sql": "CREATE TABLE after (id int)"}))
    assert shop.value("SELECT to_regclass('after')::text") == "after"


def test_a_lock_session_that_stands_still_counts_as_lost(
    shop: Shop, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "ANSWER_SECONDS", 1.0)
    with ThreadPoolExecutor(1) as pool:
        runner = pool.submit(migrate.apply, shop.owner, release(SLOW))
        with standing_still(process_of(shop, "lock")), pytest.raises(failures.RunnerLockLost):
            runner.result(timeout=60)


def test_a_server_that_ends_sessions_at_any_moment_is_told_in_words(
    shop: Shop, release: Release
) -> None:
    folder = release({f"expand/{n:03}_t.sql": f"CREATE TABLE t{n} (id int)" for n in range(1, 31)})
    hints: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(200):
            runner = pool.submit(migrate.apply, shop.owner, folder)
            while not runner.done():
                shop.server.run(f"{END_SESSIONS} AND datname = '{shop.name}'")
            try:
                runner.result()
            except (failures.ConnectionLost, failures.RunnerLockLost) as error:
                hints.append(error.hint)
            except failures.DatabaseUnreachable:
                continue
    assert len(hints) > 10
    assert {hint.partition(":")[0] for hint in hints} == {"run the same command again"}
    migrate.apply(shop.owner, folder)
    assert shop.value("SELECT count(*) FROM changeover.migration WHERE state = 'applied'") == 30
