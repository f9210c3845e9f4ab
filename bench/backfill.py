"""Fill a column of a large table in batches and in one UPDATE, on a server of the bench's own.

    bench/backfill.py --rows 1000000 --runs 3

Prints the throughput of the batches as a ratio to one UPDATE of the same rows in the same run, and
how long single-row UPDATEs beside them waited: behind one UPDATE they wait for as long as it takes.
The server keeps its data safe (fsync) and vacuums by itself, as a live one does.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.errors import UndefinedTable

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres.own_server import connect, running_server

from changeover.executors import migrate
from changeover.migrations.folder import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection
    from tests.postgres.own_server import Server

    from changeover.migrations.records import MigrationFolder

SETTINGS = {
    "fsync": "on",
    "autovacuum": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "log_autovacuum_min_duration": "0",
}
MAKE = """
    DROP TABLE IF EXISTS users; DROP SCHEMA IF EXISTS changeover CASCADE;
    CREATE TABLE users (id bigint PRIMARY KEY, email text, provider text, seen int DEFAULT 0);
    INSERT INTO users (id, email)
        SELECT n, 'user' || n || '@example.org' FROM generate_series(1, {rows}) AS n;
"""
WHOLE = "UPDATE users SET provider = 'legacy' WHERE provider IS NULL"
BATCHES = (
    "-- changeover: batch table=users key=id\n"
    "UPDATE users SET provider = 'legacy' WHERE provider IS NULL AND id BETWEEN $1 AND $2\n"
)
BESIDE = "UPDATE users SET seen = seen + 1 WHERE id = %s"
# A batch of 100 ms has about as many keys: half of the writes meet the one that is under way.
AHEAD = 10_000
AT = "SELECT max(cursor::bigint) FROM changeover.statement"
PAUSE_SECONDS = 0.005
RATIO_AIM = 0.9
WAIT_AIM_SECONDS = 0.2


@dataclass(slots=True)
class Writer:
    """A user who updates single rows all the time, where a backfill is if any is, and how long each took."""

    server: Server
    rows: int
    seconds: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Write until the end of the block."""
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _write(self) -> None:
        with connect(self.server.admin()) as connection:
            while not self._over.is_set():
                first = self._place(connection)
                last = min(first + AHEAD, self.rows) if first else self.rows
                key = random.randint(min(first + 1, last), last)  # noqa: S311 - any of these rows
                begun = time.perf_counter()
                connection.execute(BESIDE, (key,))
                self.seconds.append(time.perf_counter() - begun)
                time.sleep(PAUSE_SECONDS)

    @staticmethod
    def _place(connection: Connection[tuple[Any, ...]]) -> int:
        """Return the last key that a backfill has committed; 0 where none has begun."""
        with contextlib.suppress(UndefinedTable):
            found = connection.execute(AT).fetchone()
            return found[0] or 0 if found else 0
        return 0


def one_update(server: Server) -> float:
    """Fill the table in one statement and return its seconds."""
    with connect(server.admin()) as connection:
        begun = time.perf_counter()
        connection.execute(WHOLE)
        return time.perf_counter() - begun


def in_batches(server: Server, folder: MigrationFolder) -> float:
    """Fill it in batches and return the seconds of the whole run, its sessions included."""
    begun = time.perf_counter()
    migrate.apply(server.admin(), folder, deadline_seconds=3600, report=_show)
    return time.perf_counter() - begun


def _show(event: dict[str, object]) -> None:
    if event["type"] != "statement":
        print(f"  {event['says']}", file=sys.stderr, flush=True)


def measured(server: Server, rows: int, folder: MigrationFolder) -> tuple[float, float]:
    """Return one run's ratio of throughput, and the longest wait beside the batches."""
    fresh(server, rows)
    whole = one_update(server)
    fresh(server, rows)
    batches = in_batches(server, folder)
    fresh(server, rows)
    alone, beside = Writer(server, rows), Writer(server, rows)
    with alone.at_work():
        time.sleep(2)
    with beside.at_work():
        in_batches(server, folder)
    longest = max(beside.seconds)
    print(
        f"one UPDATE {whole:.2f} s, batches {batches:.2f} s: throughput {whole / batches:.2f} of it;"
        f" single-row UPDATE: median {statistics.median(beside.seconds) * 1000:.1f} ms, longest"
        f" {longest * 1000:.0f} ms of {len(beside.seconds)}"
        f" (longest with nothing beside it {max(alone.seconds) * 1000:.0f} ms)",
        flush=True,
    )
    return whole / batches, longest


def fresh(server: Server, rows: int) -> None:
    """Make the table anew, its statistics and visibility known, and nothing left to write."""
    server.run(MAKE.format(rows=rows))
    server.run("VACUUM ANALYZE users")
    server.run("CHECKPOINT")


def main() -> int:
    """Measure, print, and tell by the exit code whether the aims were reached."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--runs", type=int, default=3)
    given = words.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="changeover-bench-") as place,
        running_server(settings=SETTINGS) as server,
    ):
        path = Path(place, "backfill", "001_provider.sql")
        path.parent.mkdir()
        path.write_text(BATCHES)
        folder = load(Path(place), "1.0.0")
        found = [measured(server, given.rows, folder) for _ in range(given.runs)]
    ratio = statistics.median(ratio for ratio, _ in found)
    longest = max(longest for _, longest in found)
    print(
        f"throughput {ratio:.2f} of one UPDATE (aim {RATIO_AIM}), longest wait"
        f" {longest * 1000:.0f} ms (aim under {WAIT_AIM_SECONDS * 1000:.0f} ms)"
    )
    return 0 if ratio >= RATIO_AIM and longest < WAIT_AIM_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
