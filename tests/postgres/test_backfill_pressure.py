"""A backfill pauses for sessions behind it, for autovacuum and for replicas, and says so once."""

from __future__ import annotations

import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until
from tests.postgres.own_server import Server, connect, free_port, fresh_shop, running_server
from tests.postgres.test_backfill import COUNTED, SLOW, each_once, fill, make, place, release_brake

from changeover.executors import migrate
from changeover.executors.migrate.failures import ConnectionLost, DeadlinePassed, RunnerLockLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.moments import Clock
    from tests.postgres.own_server import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]
    Events = list[dict[str, object]]

pytestmark = pytest.mark.postgres

VACUUMING = "SELECT 1 FROM pg_stat_progress_vacuum WHERE relid = 'users'::regclass"
SLOWLY_VACUUMED = """
    ALTER TABLE users SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)
"""


@pytest.fixture(scope="module")
def live_server() -> Iterator[Server]:
    """Give a server that vacuums by itself, often."""
    with running_server(settings={"autovacuum": "on", "autovacuum_naptime": "1s"}) as server:
        yield server


@pytest.fixture
def shop(live_server: Server) -> Iterator[Shop]:
    with fresh_shop(live_server) as found:
        yield found


@pytest.fixture(scope="module")
def replica(live_server: Server) -> Iterator[Server]:
    """Give a streaming replica that reports every second."""
    directory = live_server.directory / "replica"
    made = Server(
        directory=directory,
        port=free_port(),
        password=live_server.password,
        settings={"wal_receiver_status_interval": "1s", "cluster_name": "replica-1"},
    )
    source = ("-h", live_server.directory, "-p", str(live_server.port), "-U", "postgres")
    copy = ("-D", made.data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
    subprocess.run(live_server.program("pg_basebackup", *source, *copy), check=True, cwd="/")
    made.start()
    try:
        yield made
    finally:
        made.stop()


def told(events: Events, kind: str) -> list[object]:
    return [event["reason"] for event in events if event["type"] == kind]


def test_sessions_behind_one_update_wait_for_all_of_it(shop: Shop) -> None:
    make(shop, 300)
    naive = SLOW.replace("$1 AND $2", "1 AND 300")
    with ThreadPoolExecutor(1) as pool:
        update = pool.submit(shop.rows, naive)
        until(lambda: not shop.rows("SELECT id FROM users WHERE id = 1 FOR UPDATE SKIP LOCKED"))
        shop.rows("SELECT id FROM users WHERE id = 1 FOR UPDATE")
        assert each_once(shop, 300)
        update.result()


def test_it_pauses_after_a_batch_that_others_waited_for(shop: Shop, release: Release) -> None:
    make(shop, 3000)
    events: Events = []
    over = threading.Event()
    seen: list[int] = []

    def user() -> None:
        with connect(shop.admin) as connection:
            while not over.is_set():
                connection.execute("SELECT FROM users ORDER BY id FOR UPDATE")
                done = connection.execute("SELECT count(*) FROM users WHERE n = 1").fetchone()
                seen.extend(done or ())
                if told(events, "batch-pause"):
                    release_brake(shop)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(user)
        try:
            migrate.apply(shop.owner, release(fill(SLOW, "size=50")), report=events.append)
        finally:
            over.set()

    assert each_once(shop, 3000)
    assert told(events, "batch-pause") == ["lock-waits"]
    assert any(0 < done < 3000 for done in seen), "they got their turn in between"


def test_it_pauses_while_autovacuum_is_at_a_table_with_many_dead_rows(
    shop: Shop, release: Release
) -> None:
    make(shop, 20_000)
    shop.rows(SLOWLY_VACUUMED)
    shop.rows("UPDATE users SET n = 0")
    until(lambda: shop.rows(VACUUMING))
    patient = release(fill("UPDATE users SET n = 0 WHERE id BETWEEN $1 AND $2", "dead=9999999"))
    events: Events = []

    migrate.apply(shop.owner, patient, report=events.append, deadline_seconds=30)
    assert told(events, "batch-pause") == []
    assert shop.rows(VACUUMING)

    folder = release(fill(f"UPDATE users {COUNTED}", "dead=1000"), "2.0.0")
    with ThreadPoolExecutor(1) as pool:
        runner = pool.submit(migrate.apply, shop.owner, folder, report=events.append)
        until(lambda: told(events, "batch-pause") or runner.done())
        assert shop.value("SELECT sum(n) FROM users") == 0
        shop.rows("ALTER TABLE users SET (autovacuum_enabled = false)")  # ends the worker
        runner.result()

    assert each_once(shop, 20_000)
    assert told(events, "batch-pause") == told(events, "batch-resume") == ["autovacuum"]


def test_it_does_not_pause_for_maintenance_that_a_person_began(
    shop: Shop, release: Release
) -> None:
    make(shop, 20_000)
    shop.rows("ALTER TABLE users SET (autovacuum_enabled = false)")
    shop.rows("UPDATE users SET n = 0")
    until(lambda: shop.value("SELECT pg_stat_get_dead_tuples('users'::regclass)") > 1000)
    events: Events = []

    with connect(shop.admin) as person, person.transaction():
        person.execute("LOCK TABLE users IN SHARE UPDATE EXCLUSIVE MODE")  # as VACUUM and ANALYZE
        folder = release(fill(f"UPDATE users {COUNTED}", "dead=1000"))
        migrate.apply(shop.owner, folder, report=events.append, deadline_seconds=30)

    assert each_once(shop, 20_000)
    assert told(events, "batch-pause") == []


def test_a_server_that_crashes_in_the_middle_loses_no_row_and_meets_none_twice(
    shop: Shop, release: Release
) -> None:
    make(shop, 9000)
    folder = release(fill(SLOW, "target=20ms"))
    with ThreadPoolExecutor(1) as pool:
        runner = pool.submit(migrate.apply, shop.owner, folder)
        until(lambda: place(shop) > 100)
        shop.server.stop(signal.SIGQUIT)
        with pytest.raises((ConnectionLost, RunnerLockLost)):
            runner.result()
    shop.server.start()
    assert shop.value("SELECT count(*) FROM users WHERE n > 0") == place(shop)
    release_brake(shop)

    migrate.apply(shop.owner, folder)

    assert each_once(shop, 9000)


def test_it_pauses_while_a_replica_is_behind_and_no_longer_than_its_time(
    shop: Shop, replica: Server, release: Release, clock: Clock
) -> None:
    make(shop, 6000)
    folder = release(fill(SLOW, "lag=1s"))
    events: Events = []
    with ThreadPoolExecutor(1) as pool:
        replica.run("SELECT pg_wal_replay_pause()")
        shop.rows(f"GRANT pg_read_all_stats TO {shop.owner.user}")
        runner = pool.submit(migrate.apply, shop.owner, folder, report=events.append)
        until(lambda: told(events, "batch-pause") or runner.done())
        clock.stop()
        with pytest.raises(DeadlinePassed, match=r"still paused.*replica-1 is .* behind") as caught:
            runner.result()
        clock.start()
        assert "continues where this stopped" in caught.value.hint
        before = shop.value("SELECT sum(n) FROM users")
        assert before < 6000

        folder = release(fill(SLOW, "lag=1s dead=5 target=200ms size=7"))  # bounds are not its text
        runner = pool.submit(migrate.apply, shop.owner, folder, report=events.append)
        until(lambda: len(told(events, "batch-pause")) > 1 or runner.done())
        assert shop.value("SELECT sum(n) FROM users") < 6000
        release_brake(shop)
        replica.run("SELECT pg_wal_replay_resume()")
        runner.result()

    assert each_once(shop, 6000)
    assert told(events, "batch-pause") == ["replica-lag", "replica-lag"]
    assert told(events, "batch-resume") == ["replica-lag"]


@pytest.mark.usefixtures("replica")
def test_a_role_that_cannot_see_replicas_is_told_what_to_grant(
    shop: Shop, release: Release
) -> None:
    make(shop, 10)
    events: Events = []

    migrate.apply(shop.owner, release(fill(f"UPDATE users {COUNTED}")), report=events.append)

    said = [str(event["says"]) for event in events if event["type"] == "notice"]
    assert len(said) == 1
    assert f"GRANT pg_read_all_stats TO {shop.owner.user}" in said[0]
    assert each_once(shop, 10)
