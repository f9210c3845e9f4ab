"""A client that dies or freezes: its lock goes with it, and two never work at the same time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.postgres import gate
from tests.postgres.moments import until

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.own_server import Runner, Shop

    from changeover.migrations.records import MigrationFolder as Folder

    Release = Callable[..., Folder]
    Start = Callable[..., Runner]

pytestmark = pytest.mark.postgres

SLEEPING = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND usename = '{}'"
NAIVE_LOCK = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND granted"
OURS = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'changeover migrate%'"
END_OURS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name LIKE 'changeover migrate%'"""
FILES = {"expand/001_users.sql": gate.USERS, "backfill/001_copied.sql": gate.BACKFILL}


def test_t16_a_dead_clients_lock_is_free_while_a_naive_ones_is_kept(
    shop: Shop, release: Release, start_runner: Start
) -> None:
    owner = shop.owner
    address = f"postgresql://{owner.user}@127.0.0.1:{owner.port}/{owner.name}"
    with subprocess.Popen(
        [
            "psql",
            "-X",
            "-q",
            address,
            "-c",
            "SELECT pg_advisory_lock(7)",
            "-c",
            "SELECT pg_sleep(300)",
        ],
        env={**os.environ, "PGPASSWORD": owner.password.reveal()},
        stdout=subprocess.DEVNULL,
    ) as naive:
        until(lambda: shop.rows(SLEEPING.format(owner.user)))
        naive.kill()
    runner = start_runner(shop, release({"expand/001_slow.sql": "SELECT pg_sleep(300)"}))
    until(lambda: len(shop.rows(SLEEPING.format(owner.user))) == 2)
    runner.kill()

    until(lambda: not shop.rows(OURS), 30)

    assert shop.rows(NAIVE_LOCK) == [(1,)], (
        "its statement goes on, and the next runner waits for it"
    )
    migrate.apply(owner, release({"expand/001_slow.sql": "SELECT 1"}))


@pytest.fixture
def frozen(shop: Shop, release: Release, start_runner: Start) -> Iterator[tuple[Runner, Folder]]:
    """Give a runner that stands still in the middle of a batch."""
    folder = release(FILES)
    runner = start_runner(shop, folder)
    until(lambda: shop.rows(gate.WAITING))
    os.kill(runner.process.pid, signal.SIGSTOP)
    yield runner, folder
    thaw(runner)


def thaw(runner: Runner) -> None:
    if runner.process.poll() is None:
        os.kill(runner.process.pid, signal.SIGCONT)


def test_a_frozen_runner_is_named_and_goes_on_when_it_thaws(
    shop: Shop, frozen: tuple[Runner, Folder]
) -> None:
    runner, folder = frozen
    with pytest.raises(failures.RunnerBusy, match="another runner is migrating") as caught:
        migrate.apply(shop.owner, folder, deadline_seconds=0.3)
    shop.rows(gate.OPEN)
    thaw(runner)

    assert caught.value.exit_code == 5
    assert (runner.end(), runner.process.returncode) == ("", 0)
    assert shop.value("SELECT bool_and(copied = name) FROM users")


def test_a_runner_that_thaws_after_another_took_its_place_changes_nothing(
    shop: Shop, frozen: tuple[Runner, Folder]
) -> None:
    runner, folder = frozen
    shop.rows(END_OURS)  # what the server's keepalives do when the client's network is gone
    shop.rows(gate.OPEN)
    migrate.apply(shop.owner, folder)
    thaw(runner)

    said = runner.end()
    assert runner.process.returncode == 1
    assert re.search(r"^(ConnectionLost|RunnerLockLost): ", said, re.MULTILINE)
    assert shop.value("SELECT bool_and(copied = name) FROM users")
