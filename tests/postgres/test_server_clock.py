"""A server whose clock is years off, or is set while it works: neither order nor limits go by it."""

from __future__ import annotations

import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.conftest import fresh_site
from tests.postgres.moments import until
from tests.postgres.own_server import BINARIES, Server, Shop, connect, fresh_shop, new_server

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

WRAPPER = """#!/bin/sh
LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={setting} FAKETIME_NO_CACHE=1
FAKETIME_DONT_FAKE_MONOTONIC=1
export LD_PRELOAD FAKETIME_TIMESTAMP_FILE FAKETIME_NO_CACHE FAKETIME_DONT_FAKE_MONOTONIC
exec {postgres} "$@"
"""
USERS = "CREATE TABLE users (id bigint PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a');"
FILES = {
    "expand/001_users.sql": USERS,
    "expand/002_city.sql": "ALTER TABLE users ADD COLUMN city text",
}
REVERTS = {
    "expand/001_users.revert.sql": "DROP TABLE users",
    "expand/002_city.revert.sql": "ALTER TABLE users DROP COLUMN city",
}
NEXT = {
    "expand/001_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name)",
    "backfill/001_city.sql": "-- changeover: batch table=users key=id\n"
    "UPDATE users SET city = concat(city, 'here') WHERE id BETWEEN $1 AND $2",
}
QUEUEING = """SELECT 1 FROM pg_stat_activity
    WHERE application_name = 'changeover migrate work' AND wait_event_type = 'Lock'"""


class WrongClock:
    """The clock that a server goes by."""

    def __init__(self, setting: Path, server: Server) -> None:
        self._setting = setting
        self.server = server

    def set(self, days: int) -> None:
        """Put it that many days ahead of this machine's, at once and for everybody on the server."""
        fresh = self._setting.with_suffix(".new")
        fresh.write_text(f"{days:+}d\n")
        fresh.chmod(0o644)
        fresh.rename(self._setting)

    @property
    def days_ahead(self) -> int:
        ((now,),) = self.server.run("SELECT extract(epoch FROM clock_timestamp())")
        return round((float(now) - time.time()) / 86400)


@pytest.fixture(scope="module")
def wrong() -> Iterator[WrongClock]:
    """Give a server with a clock of its own."""
    libraries = list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        pytest.fail("libfaketime is missing: apt-get install faketime")
    directory = Path(tempfile.mkdtemp(prefix="changeover-postgres-", dir="/tmp"))
    server = new_server(directory)
    programs = directory / "programs"
    programs.mkdir()
    clock = WrongClock(directory / "clock", server)
    clock.set(0)
    program = programs / "postgres"
    program.write_text(
        WRAPPER.format(
            library=libraries[0], setting=directory / "clock", postgres=BINARIES / "postgres"
        )
    )
    program.chmod(0o755)
    server.binaries = programs
    try:
        server.start()
        yield clock
    finally:
        server.stop()
        shutil.rmtree(directory)


@pytest.fixture
def shop(wrong: WrongClock) -> Iterator[Shop]:
    """Give an empty database on that server."""
    wrong.set(0)
    with fresh_shop(wrong.server) as found:
        yield found


def test_what_was_applied_is_known_by_order_whatever_the_clock_said(
    shop: Shop, wrong: WrongClock, release: Release
) -> None:
    wrong.set(4000)
    assert wrong.days_ahead == 4000
    older = release(FILES | REVERTS)
    migrate.apply(shop.owner, older)
    wrong.set(-4000)
    newer = release(NEXT, "2.0.0")

    assert len(migrate.apply(shop.owner, newer).done) == 2
    assert migrate.apply(shop.owner, newer).done == ()

    first, last = (migrate.status(shop.owner, folder)[0].changed_at for folder in (older, newer))
    assert first is not None
    assert last is not None
    assert (first - last).days > 7990, "the ledger keeps what the server said"
    with pytest.raises(failures.NewerApplied, match=r"2\.0\.0/expand/001_index was applied on top"):
        migrate.revert(shop.owner, older, phases=("expand",))
    assert shop.rows("SELECT city FROM users") == [("here",)]


@pytest.mark.parametrize("days", [4000, -4000])
def test_a_clock_that_is_set_while_a_statement_queues_keeps_no_reader_waiting(
    shop: Shop, wrong: WrongClock, release: Release, days: int
) -> None:
    migrate.apply(shop.owner, release({"expand/001_users.sql": USERS}))
    folder = release(FILES)
    events: list[dict[str, object]] = []
    with connect(shop.admin) as blocker, connect(shop.admin) as reader:
        blocker.execute("BEGIN; SELECT * FROM users")
        with ThreadPoolExecutor(1) as pool:
            runner = pool.submit(migrate.apply, shop.owner, folder, report=events.append)
            until(lambda: shop.rows(QUEUEING))
            wrong.set(days)
            seen = len(events)
            until(lambda: len(events) > seen + 2)
            reader.execute("SELECT * FROM users")
            with pytest.raises(failures.RunnerBusy):
                migrate.apply(shop.owner, folder, deadline_seconds=0.2)
            blocker.execute("COMMIT")
            assert runner.result().done == ("1.0.0/expand/002_city",)
    assert {event["type"] for event in events[:seen]} <= {"lock-retry"}


def test_a_backup_is_made_proved_and_gone_back_to(shop: Shop, wrong: WrongClock) -> None:
    with fresh_site(shop) as site:
        wrong.set(4000)
        site.create()
        shop.rows("INSERT INTO audit VALUES ('since')")
        wrong.set(-4000)

        site.act("backup_verify", backup="one")
        price = site.act("backup_price", backup="one")
        done = site.act("backup_restore", backup="one")

        assert price["rows_written"] == done["rows_lost"] == 1
        assert 0 <= done["refused_seconds"] < 60
        assert shop.value("SELECT count(*) FROM audit") == 10
        (listed,) = site.act("backup_list")["backups"]
        assert listed["proved"]
