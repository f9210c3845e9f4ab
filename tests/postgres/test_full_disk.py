"""A disk that fills in the middle: it is told in words, nothing half done stays, and room is enough."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.postgres.disks import Disk, small_disk
from tests.postgres.own_server import Server, Shop, connect, fresh_shop, new_server

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

USERS = """
    CREATE TABLE users (id bigint PRIMARY KEY, name text, copied text);
    INSERT INTO users SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 20000) AS n;
"""
COPY = {
    "expand/002_copy.sql": "CREATE TABLE before (id int);"
    "CREATE TABLE copies AS SELECT users.* FROM users, generate_series(1, 10)"
}
INDEX = {
    "expand/002_index.sql": "CREATE INDEX CONCURRENTLY IF NOT EXISTS users_all ON users"
    " (name, md5(name), (name || md5(name)))"
}
BACKFILL = {
    "backfill/001_copied.sql": "-- changeover: batch table=users key=id size=500\n"
    "UPDATE users SET copied = concat(copied, repeat(name, 3)) WHERE id BETWEEN $1 AND $2",
}


@pytest.fixture
def users(shop: Shop, release: Release) -> Iterator[tuple[Shop, Disk]]:
    """Give a shop whose tables lie on a disk that has four megabytes left."""
    run = shop.server.run
    space = f"small_{shop.name}"
    with small_disk("9m") as disk:
        run(f"CREATE TABLESPACE {space} OWNER {shop.owner.user} LOCATION '{disk.path}'")
        run(f"ALTER DATABASE {shop.name} SET default_tablespace = {space}")
        run(f"ALTER DATABASE {shop.name} SET temp_tablespaces = {space}")
        migrate.apply(shop.owner, release({"expand/001_users.sql": USERS}))
        try:
            yield shop, disk
        finally:
            run(f"DROP DATABASE {shop.name} WITH (FORCE)")
            run(f"DROP TABLESPACE {space}")


def states(shop: Shop, folder: MigrationFolder) -> list[str]:
    return [found.state for found in migrate.status(shop.owner, folder)]


def refused(shop: Shop, folder: MigrationFolder) -> None:
    """Run until the disk is full, and look at what is said."""
    with pytest.raises(failures.StatementFailed) as caught:
        migrate.apply(shop.owner, folder)
    assert caught.value.exit_code == 1
    assert "SQLSTATE 53100" in str(caught.value.cause)


def test_a_transaction_that_fills_the_disk_leaves_nothing(
    users: tuple[Shop, Disk], release: Release
) -> None:
    shop, disk = users
    folder = release(COPY)
    refused(shop, folder)
    assert shop.value("SELECT to_regclass('before') IS NULL AND to_regclass('copies') IS NULL")
    assert states(shop, folder) == ["applied", "pending"]
    disk.grow()

    migrate.apply(shop.owner, folder)

    assert shop.value("SELECT count(*) FROM copies") == 200_000


def test_t8_an_index_that_fills_the_disk_is_built_anew_where_a_naive_rerun_reports_success(
    users: tuple[Shop, Disk], release: Release
) -> None:
    shop, disk = users
    folder = release(INDEX)
    whole = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('users_all')"
    with connect(shop.owner) as naive:
        with pytest.raises(psycopg.errors.DiskFull):
            naive.execute(INDEX["expand/002_index.sql"])
        naive.execute(INDEX["expand/002_index.sql"])
        assert shop.rows(whole) == [(False,)]
        naive.execute("DROP INDEX users_all")

    refused(shop, folder)
    assert shop.rows(whole) in ([], [(False,)]), "to take it away may need room, too"
    disk.grow()
    migrate.apply(shop.owner, folder)

    assert shop.rows(whole) == [(True,)]


def test_a_backfill_that_fills_the_disk_goes_on_after_its_last_batch(
    users: tuple[Shop, Disk], release: Release
) -> None:
    shop, disk = users
    folder = release(BACKFILL)
    refused(shop, folder)
    before = shop.value("SELECT count(copied) FROM users")
    assert 0 < before < 20_000
    assert states(shop, folder) == ["applied", "partial"]
    disk.grow()

    migrate.apply(shop.owner, folder)

    assert shop.value("SELECT bool_and(copied = repeat(name, 3)) FROM users")


@pytest.fixture
def cramped() -> Iterator[tuple[Server, Disk]]:
    """Give a server whose log of writes lies on a disk that has room for two of its files."""
    directory = Path(tempfile.mkdtemp(prefix="changeover-postgres-", dir="/tmp"))
    with small_disk("40m") as disk:
        server = new_server(directory)
        shutil.copytree(server.data / "pg_wal", disk.path, dirs_exist_ok=True)
        for path in (disk.path, *disk.path.rglob("*")):
            shutil.chown(path, "postgres", "postgres")
        shutil.rmtree(server.data / "pg_wal")
        (server.data / "pg_wal").symlink_to(disk.path)
        try:
            server.start()
            yield server, disk
        finally:
            server.stop()
            shutil.rmtree(directory)


def test_a_server_that_falls_over_because_its_log_has_no_room_converges_by_a_rerun(
    cramped: tuple[Server, Disk], release: Release
) -> None:
    server, disk = cramped
    with fresh_shop(server) as shop:
        folder = release({"expand/001_users.sql": USERS} | COPY | BACKFILL)
        with pytest.raises((failures.ConnectionLost, failures.RunnerLockLost)):
            migrate.apply(shop.owner, folder)
        log = server.log.read_text()
        assert "PANIC" in log
        assert "No space left on device" in log
        server.stop()
        disk.grow()
        server.start()
        assert states(shop, folder) != ["applied"] * 3

        migrate.apply(shop.owner, folder)

        assert states(shop, folder) == ["applied"] * 3
        assert shop.value("SELECT bool_and(copied = repeat(name, 3)) FROM users")
        assert shop.value("SELECT count(*) FROM copies") == 200_000
