"""Works that change a database: each may be killed at any moment, begun again, and compared."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.postgres.backup.conftest import Agent, fresh_site
from tests.postgres.own_server import Runner, Shop, connect, fresh_shop, start_runner
from tests.postgres.restoring import Restoring

from changeover.executors import migrate
from changeover.executors.migrate.runner_lock import KEY
from changeover.migrations.folder import load

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping

    from tests.postgres.own_server import Server

    from changeover.migrations.records import MigrationFolder

ROWS = 20_000
OPEN_SECONDS = 0.6  # a dead client is noticed within a second: a build that ends sooner is whole
USERS = f"""
    CREATE TABLE users (id bigint PRIMARY KEY, name text, copied text);
    INSERT INTO users (id, name) SELECT n, 'user ' || n FROM generate_series(1, {ROWS}) AS n;
    CREATE TABLE log (migration text);
"""  # noqa: S608 - the test's own number
STEPS = range(2, 10)
TRANSACTIONAL = {
    f"expand/{step:03}_step.sql": f"INSERT INTO log VALUES ('{step:03}');"  # noqa: S608 - own number
    f"UPDATE users SET copied = concat(copied, {step}); ALTER TABLE log ADD COLUMN c{step} int"
    for step in STEPS
}
CONCURRENT = {
    "expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name);"
    "INSERT INTO log VALUES ('002');"
    "CREATE UNIQUE INDEX CONCURRENTLY users_low ON users (lower(name))",
    "expand/003_again.sql": "REINDEX INDEX CONCURRENTLY users_name",
    "expand/004_drop.sql": "DROP INDEX CONCURRENTLY users_low; INSERT INTO log VALUES ('004')",
}
# Slow enough for several batches, however large the runner makes them.
BACKFILL = {
    "backfill/001_copied.sql": "-- changeover: batch table=users key=id size=200\n"
    "UPDATE users SET copied = concat(copied, name) WHERE id BETWEEN $1 AND $2"
    " AND (id % 20 > 0 OR pg_sleep(0.001) IS NOT NULL)",
}
OURS = """SELECT 1 FROM pg_stat_activity
    WHERE application_name LIKE 'changeover migrate%%' AND datname = current_database()"""
HALF_DONE = "SELECT count(*) FROM changeover.statement WHERE state = 'intended'"
STRAY_INDEXES = "SELECT 1 FROM pg_index WHERE NOT indisvalid OR indexrelid::regclass::text ~ '_cc'"


class Work(Protocol):
    """Something that changes a database, and that may be killed and begun again."""

    def start(self) -> Runner | Agent:
        """Begin it in a process of its own; a re-run is the same."""

    def begun(self) -> bool:
        """Tell whether it is at work, rather than being loaded."""

    def kill(self, running: Runner | Agent, chance: random.Random) -> None:
        """End it with SIGKILL."""

    def free(self) -> bool:
        """Tell whether nothing of it holds a lock any more."""

    def finish(self) -> int:
        """Run it to its end, and return how many steps it found half done."""

    def check(self) -> None:
        """Compare what is there with what one whole run leaves."""


@dataclasses.dataclass(frozen=True, slots=True)
class Migrating:
    """A runner on a folder of migrations."""

    shop: Shop
    folder: MigrationFolder
    expected: Callable[[Shop], None]

    def start(self) -> Runner:
        return start_runner(self.shop, self.folder)

    def begun(self) -> bool:
        return bool(self.shop.rows(OURS.replace("%%", " work")))

    def kill(self, running: Runner | Agent, _chance: random.Random) -> None:
        running.kill()

    def free(self) -> bool:
        with connect(self.shop.admin) as session:
            found = session.execute("SELECT pg_try_advisory_lock(%s)", (KEY,)).fetchone()
            return found == (True,) and not session.execute(OURS, ()).fetchall()

    def finish(self) -> int:
        half_done = int(self.shop.value(HALF_DONE))
        runner = self.start()
        said = runner.end()
        assert (runner.process.returncode, said) == (0, "")
        close(runner)
        return half_done

    def check(self) -> None:
        assert {found.state for found in migrate.status(self.shop.owner, self.folder)} == {
            "applied"
        }
        assert self.shop.rows(STRAY_INDEXES) == []
        self.expected(self.shop)


def close(running: Runner | Agent) -> None:
    """Close what a process's output was read from."""
    for stream in (running.process.stdout, running.process.stderr):
        if stream is not None:
            stream.close()


def _stepped(shop: Shop) -> None:
    assert shop.rows("SELECT migration FROM log ORDER BY 1") == [(f"{n:03}",) for n in STEPS]
    assert shop.rows("SELECT copied, count(*) FROM users GROUP BY 1") == [("23456789", ROWS)]


def _indexed(shop: Shop) -> None:
    assert shop.rows("SELECT migration FROM log ORDER BY 1") == [("002",), ("004",)]
    assert shop.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_name'::regclass")
    assert shop.value("SELECT to_regclass('users_low') IS NULL")


def _filled(shop: Shop) -> None:
    assert shop.value("SELECT bool_and(copied = name) FROM users")


@contextlib.contextmanager
def _busy(shop: Shop) -> Iterator[None]:
    """Write in transactions that stay open for a while, so that each index build has to wait."""
    ended = threading.Event()

    def write() -> None:
        with connect(shop.admin) as session:
            while not ended.is_set():
                with session.transaction():
                    session.execute("UPDATE users SET name = name WHERE id = 1")
                    ended.wait(OPEN_SECONDS)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _migrating(
    server: Server,
    files: Mapping[str, str],
    expected: Callable[[Shop], None],
    beside: Callable[[Shop], contextlib.AbstractContextManager[None]] | None = None,
) -> Iterator[Work]:
    with fresh_shop(server) as shop, tempfile.TemporaryDirectory() as place:
        first, rest = {"expand/001_users.sql": USERS}, Path(place)
        for folder, content in ((rest / "first", first), (rest / "all", first | dict(files))):
            for name, text in content.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
        migrate.apply(shop.owner, load(rest / "first", "1.0.0"))
        with beside(shop) if beside else contextlib.nullcontext():
            yield Migrating(shop, load(rest / "all", "1.0.0"), expected)


@contextlib.contextmanager
def _restoring(server: Server, *, warm: bool) -> Iterator[Work]:
    with fresh_shop(server) as shop, fresh_site(shop) as site:
        site.create()
        if warm:
            site.act("backup_verify", backup="one", keep=True)
        yield Restoring(site, warm)


KINDS: dict[str, Callable[[Server], contextlib.AbstractContextManager[Work]]] = {
    "transactional": lambda server: _migrating(server, TRANSACTIONAL, _stepped),
    "concurrent index": lambda server: _migrating(server, CONCURRENT, _indexed, _busy),
    "backfill": lambda server: _migrating(server, BACKFILL, _filled),
    "swap": lambda server: _restoring(server, warm=True),
    "restore": lambda server: _restoring(server, warm=False),
}
