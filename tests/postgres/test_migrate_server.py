"""Servers that migrations are not trusted to, and how each is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until

from changeover.executors import migrate
from changeover.executors.migrate import failures, server
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres.conftest import Server, Shop

    from changeover.database import Database
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres


def test_a_good_server_says_what_it_is(shop: Shop) -> None:
    facts = migrate.probe(shop.owner)

    assert facts.version.startswith("15.")
    assert facts.number >= 150000
    assert facts.primary
    assert not facts.ssl
    assert facts.size_bytes > 1_000_000


def test_a_wrong_password_is_refused_without_being_shown(shop: Shop) -> None:
    wrong = dataclasses.replace(shop.owner, password=Secret("not-the-password"))

    with pytest.raises(failures.DatabaseRefused) as caught:
        migrate.probe(wrong)

    told = str(caught.value.as_event())
    assert caught.value.exit_code == 6
    assert f"{shop.name} on test-db refuses {shop.owner.user}" in told
    assert "password authentication failed" in told
    assert "not-the-password" not in told


def test_an_unknown_database_is_refused(shop: Shop) -> None:
    with pytest.raises(failures.DatabaseRefused) as caught:
        migrate.probe(dataclasses.replace(shop.owner, name="elsewhere"))
    assert 'database "elsewhere" does not exist' in str(caught.value.cause)


def test_a_closed_port_is_told_apart(shop: Shop, unused_port: int) -> None:
    with pytest.raises(failures.DatabaseUnreachable) as caught:
        migrate.probe(dataclasses.replace(shop.owner, port=unused_port))
    assert caught.value.exit_code == 6
    assert "Connection refused" in str(caught.value.cause)


def test_an_old_server_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OLDEST", 160000)
    with pytest.raises(failures.ServerTooOld, match=r"runs PostgreSQL 15\..*; 16 is the oldest"):
        migrate.probe(shop.owner)


def test_an_owner_without_rights_is_told_so(shop: Shop, release: Release) -> None:
    folder = release({"expand/001_one.sql": "SELECT 1"})
    with pytest.raises(failures.LedgerUnusable, match="cannot make the ledger") as caught:
        migrate.apply(shop.app, folder)
    assert "permission denied for database" in str(caught.value.cause)


def test_a_ledger_of_a_later_version_is_left_alone(shop: Shop, release: Release) -> None:
    folder = release({"expand/001_one.sql": "SELECT 1"})
    migrate.apply(shop.owner, folder)
    shop.rows("COMMENT ON SCHEMA changeover IS 'ledger format 2'")
    with pytest.raises(failures.LedgerUnusable, match="a format this version does not know"):
        migrate.apply(shop.owner, folder)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that the server's user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="changeover-postgres-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def standby(shop: Shop, open_folder: Path, unused_port: int) -> Iterator[Database]:
    """Give the shop's database as a standby copy of the server has it."""
    primary = shop.server
    subprocess.run(
        primary.program(
            *("pg_basebackup", "-h", primary.directory, "-p", str(primary.port), "-U", "postgres"),
            *("-D", open_folder / "data", "-c", "fast", "-X", "stream", "--no-sync"),
        ),
        check=True,
        capture_output=True,
        cwd="/",
    )
    (open_folder / "data" / "standby.signal").touch()
    copy = dataclasses.replace(primary, directory=open_folder, port=unused_port, process=None)
    copy.start()
    yield dataclasses.replace(shop.owner, port=unused_port)
    copy.stop()


def test_a_standby_is_refused(standby: Database, release: Release) -> None:
    with pytest.raises(failures.ServerIsStandby, match="is a standby"):
        migrate.probe(standby)
    with pytest.raises(failures.ServerIsStandby):
        migrate.apply(standby, release({"expand/001_one.sql": "SELECT 1"}))


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def pooled(shop: Shop, open_folder: Path, unused_port: int) -> Iterator[Database]:
    """Give the shop's database through a pooler in transaction mode."""
    pooler: Server = shop.server
    if shutil.which("pgbouncer") is None:
        pytest.fail("pgbouncer is missing: apt-get install pgbouncer")
    users = open_folder / "users"
    users.write_text(f'"{shop.owner.user}" "{shop.owner.password.reveal()}"\n')
    settings = open_folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={pooler.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {unused_port}\n"
        f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\n"
        "unix_socket_dir =\n"
    )
    with subprocess.Popen(
        pooler.program(shutil.which("pgbouncer") or "", settings),
        stderr=subprocess.PIPE,
        cwd="/",
    ) as process:
        until(lambda: listens(unused_port))
        yield dataclasses.replace(shop.owner, port=unused_port)
        process.terminate()


def test_a_pooler_is_refused(pooled: Database, release: Release) -> None:
    with pytest.raises(failures.PoolerBetween, match="a connection pooler answers"):
        migrate.probe(pooled)
    with pytest.raises(failures.PoolerBetween):
        migrate.apply(pooled, release({"expand/001_one.sql": "SELECT 1"}))
