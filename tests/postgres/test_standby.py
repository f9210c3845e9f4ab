"""A standby in the primary's place: named and left alone, until it is the primary."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.postgres.moments import until
from tests.postgres.own_server import Server, Shop, connect

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

USERS = {"expand/001_users.sql": "CREATE TABLE users (id int)"}
MORE = USERS | {"expand/002_more.sql": "ALTER TABLE users ADD COLUMN name text"}


@contextlib.contextmanager
def following(primary: Server, port: int) -> Iterator[Server]:
    """Give a standby that streams what the primary writes."""
    directory = Path(tempfile.mkdtemp(prefix="changeover-postgres-", dir="/tmp"))
    directory.chmod(0o777)
    subprocess.run(
        primary.program(
            *("pg_basebackup", "-h", primary.directory, "-p", str(primary.port), "-U", "postgres"),
            *("-D", directory / "data", "-c", "fast", "-X", "stream", "-R", "--no-sync"),
        ),
        check=True,
        capture_output=True,
        cwd="/",
    )
    standby = dataclasses.replace(primary, directory=directory, port=port, process=None)
    try:
        standby.start()
        until(lambda: standby.run("SELECT status FROM pg_stat_wal_receiver") == [("streaming",)])
        yield standby
    finally:
        standby.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def copied(shop: Shop, release: Release, unused_port: int) -> Iterator[Shop]:
    """Give the shop as a standby has it, its first migration streamed after the standby stood."""
    with following(shop.server, unused_port) as standby:
        migrate.apply(shop.owner, release(USERS))
        owner = dataclasses.replace(shop.owner, port=standby.port)
        found = dataclasses.replace(shop, server=standby, owner=owner)
        until(lambda: found.value("SELECT to_regclass('users') IS NOT NULL"))
        yield found


def test_a_standby_is_refused_until_it_is_promoted(
    shop: Shop, copied: Shop, release: Release
) -> None:
    folder = release(MORE)
    with connect(copied.owner) as naive, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        naive.execute(MORE["expand/002_more.sql"])

    with pytest.raises(failures.ServerIsStandby, match="is a standby") as caught:
        migrate.apply(copied.owner, folder)
    with pytest.raises(failures.ServerIsStandby):
        migrate.probe(copied.owner)
    assert caught.value.exit_code == 6
    assert "primary" in caught.value.hint
    assert [found.state for found in migrate.status(shop.owner, folder)] == ["applied", "pending"]

    copied.rows("SELECT pg_promote()")
    assert migrate.apply(copied.owner, folder).done == ("1.0.0/expand/002_more",)
