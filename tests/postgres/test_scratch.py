"""A scratch cluster beside a live server: what it comes to, and what it must never do."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from tests.postgres.archived import Archived
from tests.postgres.own_server import connect, running_server

from changeover.agent.backup.store import Store
from changeover.agent.failure import ActionError
from changeover.agent.physical import recovery, scratch, state
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import Server as Reached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.postgres

WORKERS = "SELECT backend_type AS kind FROM pg_stat_activity WHERE datname IS NULL"
LAUNCHER = "logical replication launcher"
LIVE = {
    # it asks for a worker of its own, as a job scheduler does; that there is none is no reason not to start
    "shared_preload_libraries": "pg_prewarm",
    "archive_mode": "on",
    "archive_command": "cp %p ../archive/%f",
}


@pytest.fixture(scope="module")
def archive() -> Iterator[Archived]:
    """Give a live server with a physical backup, and settings that are not to be a scratch cluster's."""
    with running_server(settings=LIVE) as live:
        reached = Reached(socket=str(live.directory), port=live.port)
        found = Archived(stanza="main", repository="here", apart=False, server=reached, live=live)
        found.log.mkdir()
        found.log.chmod(0o777)
        live.run("ALTER SYSTEM SET log_destination = 'csvlog'")
        live.run("ALTER SYSTEM SET max_logical_replication_workers = 4")
        live.run("CREATE TABLE rows (word text)")
        found.back_up()
        yield found


@pytest.fixture
def store(archive: Archived, tmp_path: Path) -> Store:
    return Store(root=tmp_path / "shop", app="shop", database="postgres", server=archive.server)


def now(archive: Archived) -> str:
    ((moment,),) = archive.live.run("SELECT clock_timestamp()::text")
    return str(moment).replace(" ", "T") + ":00"


def test_nothing_works_in_the_background_of_a_scratch_cluster(
    archive: Archived, store: Store
) -> None:
    live = {kind for (kind,) in archive.live.run(WORKERS)}
    target = ("--type=time", f"--target={now(archive)}", "--target-action=promote")
    archive.live.run("INSERT INTO rows VALUES ('later')")
    archive.run("check")

    with (
        scratch.cluster(store, archive, "base", target) as (then, _),
        Session(then.server, "postgres") as session,
    ):
        found = {str(row["kind"]) for row in session.rows(WORKERS)}
        room = session.value("SELECT current_setting('max_worker_processes') AS room")

    assert LAUNCHER in live
    assert LAUNCHER not in found
    assert room == "0"


def test_a_log_that_ends_too_early_is_named_whatever_the_live_server_writes_its_own_to(
    archive: Archived, store: Store
) -> None:
    target = ("--type=time", "--target=2099-01-01T00:00:00+00:00", "--target-action=promote")

    with (
        pytest.raises(ActionError) as caught,
        scratch.cluster(store, archive, "base", target),
    ):
        pass

    assert caught.value.error == "target-unreached"


def test_what_a_killed_run_left_is_gone_before_room_is_asked_for(
    archive: Archived, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = scratch.directory(store)
    root.mkdir()
    (root / "left").write_text("as much as a whole cluster")
    there: list[bool] = []
    monkeypatch.setattr(recovery, "require_free", lambda *_: there.append(root.exists()))

    assert scratch.left(store) == len("as much as a whole cluster")
    recovery.drill(store, archive, now(archive))

    assert there[0] is False
    assert scratch.left(store) is None


def test_room_is_asked_for_what_the_live_cluster_has_become(
    archive: Archived, store: Store
) -> None:
    options = ("--type=immediate",)
    small = {"label": "base", "info": {"size": 1}}
    target = recovery.Target(words="then", at="then", backup=small, options=options)
    ((every,),) = archive.live.run("SELECT sum(pg_database_size(oid)) FROM pg_database")
    ((log,),) = archive.live.run("SELECT pg_size_bytes(current_setting('max_wal_size'))")

    assert recovery.needed(store, target, copies=0) >= every + log


def test_a_recovery_ends_before_the_disk_does(archive: Archived, store: Store) -> None:
    target = ("--type=time", f"--target={now(archive)}", "--target-action=promote")
    archive.run("check")
    archive.live.run("ALTER SYSTEM SET max_wal_size = '1000TB'")
    archive.live.run("SELECT pg_reload_conf()")
    try:
        with (
            pytest.raises(ActionError, match="beside a recovery that has grown") as caught,
            scratch.cluster(store, archive, "base", target),
        ):
            pass
    finally:
        archive.live.run("ALTER SYSTEM RESET max_wal_size")
        archive.live.run("SELECT pg_reload_conf()")

    assert caught.value.error == "disk-too-small"
    assert scratch.left(store) is None


def test_a_name_that_is_in_the_log_twice_is_recovered_to_where_it_was_given(
    archive: Archived, store: Store
) -> None:
    archive.live.run("INSERT INTO rows VALUES ('first')")
    archive.live.run("SELECT pg_create_restore_point('twice')")
    archive.live.run("INSERT INTO rows VALUES ('second')")
    state.mark(store, "twice", "test")
    archive.live.run("INSERT INTO rows VALUES ('third')")
    archive.run("check")
    target = recovery.point_of("twice", state.points(store), archive.info()["backup"])

    with (
        scratch.cluster(store, archive, "base", target.options) as (then, _),
        Session(then.server, "postgres") as session,
    ):
        words = {row["word"] for row in session.rows("SELECT word FROM public.rows")}

    assert words >= {"first", "second"}
    assert "third" not in words


def test_a_transaction_that_a_hundred_thousand_others_overtook_is_announced(
    archive: Archived, store: Store
) -> None:
    with connect(archive.live.admin()) as connection, connection.transaction():
        found = connection.execute(
            "INSERT INTO rows VALUES ('open') RETURNING txid_current()"
        ).fetchone()
        assert found is not None
        archive.live.run(
            "DO $$ BEGIN FOR n IN 1..100100 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$"
        )
        moment = now(archive)

    assert recovery.drill(store, archive, moment)["first_transaction"] == found[0]


def test_a_moment_before_there_was_a_database_is_too_early(archive: Archived, store: Store) -> None:
    moment = now(archive)
    archive.live.run("CREATE DATABASE later")
    later = dataclasses.replace(store, database="later")

    with pytest.raises(ActionError, match="before there was a database later") as caught:
        recovery.drill(later, archive, moment)

    assert caught.value.error == "target-too-early"


def test_a_server_that_would_not_stop_before_the_end_of_its_log_is_refused(
    archive: Archived, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "STOPS_SINCE", 99)

    with pytest.raises(ActionError) as caught:
        recovery.drill(store, archive, "")

    assert caught.value.error == "server-older"


def test_a_name_again_keeps_its_moment_and_the_first_one_is_after_the_backup(
    archive: Archived, store: Store
) -> None:
    first, again = (state.mark(store, "again", "test") for _ in range(2))

    assert (first["known"], first["failing"], again["known"]) == (False, False, True)
    assert again["lsn"] == first["lsn"]
    # the backup ended at second 1, and no moment within that is recovered to
    assert state.look(store, archive)["earliest"] == "1970-01-01T00:00:02Z"
