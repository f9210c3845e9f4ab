"""A pooler in the way: a session lock does not hold through it, so it is refused in every mode."""

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
from tests.postgres.own_server import Shop, connect

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.database import Database
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

TAKE = "SELECT pg_try_advisory_lock(1)"


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(params=["session", "transaction", "statement"])
def mode(request: pytest.FixtureRequest) -> str:
    """Give the pooler's mode."""
    return str(request.param)


@pytest.fixture
def pooled(shop: Shop, unused_port: int, mode: str) -> Iterator[Database]:
    """Give the shop's database through a pooler that has one server session for everybody."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.fail("pgbouncer is missing: apt-get install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="changeover-pooler-", dir="/tmp"))
    folder.chmod(0o755)
    users = folder / "users"
    users.write_text(f'"{shop.owner.user}" "{shop.owner.password.reveal()}"\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={shop.server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {unused_port}\n"
        f"auth_type = plain\nauth_file = {users}\npool_mode = {mode}\n"
        "default_pool_size = 1\nunix_socket_dir =\n"
    )
    with subprocess.Popen(
        shop.server.program(program, settings), stderr=subprocess.DEVNULL, cwd="/"
    ) as process:
        try:
            until(lambda: listens(unused_port))
            yield dataclasses.replace(shop.owner, port=unused_port)
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(folder)


def test_a_pooler_is_refused_with_the_reason(
    shop: Shop, pooled: Database, release: Release
) -> None:
    with pytest.raises(failures.PoolerBetween, match="a connection pooler answers") as caught:
        migrate.probe(pooled)
    with pytest.raises(failures.PoolerBetween):
        migrate.apply(pooled, release({"expand/001_one.sql": "CREATE TABLE one (id int)"}))

    assert caught.value.exit_code == 6
    assert "a session lock does not survive a pooler" in caught.value.hint
    assert shop.value("SELECT to_regnamespace('changeover') IS NULL")


@pytest.mark.parametrize("mode", ["transaction"], indirect=True)
def test_t9_through_a_pooler_two_runners_have_the_same_lock(shop: Shop, pooled: Database) -> None:
    with connect(pooled) as first, connect(pooled) as second:
        assert first.execute(TAKE).fetchone() == (True,)
        assert second.execute(TAKE).fetchone() == (True,), "the naive lock holds nobody out"

    with connect(shop.owner) as first, connect(shop.owner) as second:
        assert first.execute("SELECT pg_try_advisory_lock(2)").fetchone() == (True,)
        assert second.execute("SELECT pg_try_advisory_lock(2)").fetchone() == (False,)
