"""Measure how long readers wait while an ALTER queues behind a long transaction: bare, and as ours.

    bench/lock_wait.py --blocker 8 --lock-timeout 100 --rounds 3

Readers are processes of their own that read the table all the time; a reading's time is what its
client sees. Red is a reading during our migration that took longer than the lock timeout and 50 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import multiprocessing
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres.own_server import connect, fresh_shop, running_server

from changeover.executors import migrate
from changeover.migrations.folder import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Event

    from tests.postgres.own_server import Server, Shop

    from changeover.database import Database

READERS = 3
PAUSE_SECONDS = 0.002
SLACK_MILLISECONDS = 50
ALTER = "ALTER TABLE users ADD COLUMN city text"


@dataclasses.dataclass(slots=True)
class Readings:
    """What all readers of one run saw.

    Args:
        count: How many readings.
        longest: The longest, in milliseconds.
    """

    count: int = 0
    longest: float = 0.0


def read(database: Database, ended: Event, results: Any) -> None:  # noqa: ANN401 - a queue has no type at run time
    """Read the table until ``ended``, then say how often and how long the longest took."""
    seen = Readings()
    with connect(database) as session:
        results.put(None)
        while not ended.is_set():
            begun = time.perf_counter()
            session.execute("SELECT count(*) FROM users")
            seen.longest = max(seen.longest, (time.perf_counter() - begun) * 1000)
            seen.count += 1
            time.sleep(PAUSE_SECONDS)
    results.put(seen)


@contextlib.contextmanager
def reading(database: Database) -> Iterator[Readings]:
    """Let readers read; the readings are complete when the block has ended."""
    fresh = multiprocessing.get_context("spawn")
    ended, results = fresh.Event(), fresh.Queue()
    readers = [fresh.Process(target=read, args=(database, ended, results)) for _ in range(READERS)]
    total = Readings()
    try:
        for reader in readers:
            reader.start()
        for _ in readers:
            results.get(timeout=60)
        yield total
    finally:
        ended.set()
        for _ in readers:
            seen = results.get(timeout=60)
            total.count += seen.count
            total.longest = max(total.longest, seen.longest)
        for reader in readers:
            reader.join()


def behind_a_blocker(shop: Shop, seconds: float, work: Callable[[], object]) -> Readings:
    """Do ``work`` while a transaction that has read the table stays open for ``seconds``."""
    with (
        reading(shop.admin) as total,
        connect(shop.admin) as blocker,
        ThreadPoolExecutor(1) as pool,
    ):
        blocker.execute("BEGIN")
        blocker.execute("SELECT count(*) FROM users")
        done = pool.submit(work)
        timer = threading.Timer(seconds, blocker.execute, ["COMMIT"])
        timer.start()
        done.result()
        timer.join()
    return total


def bare(server: Server, seconds: float) -> tuple[Readings, int]:
    """Send the ALTER as it is."""
    with fresh_shop(server) as shop:
        shop.rows("CREATE TABLE users (id int)")

        def work() -> None:
            with connect(shop.admin) as session:
                session.execute(ALTER)

        return behind_a_blocker(shop, seconds, work), 0


def ours(server: Server, seconds: float, lock_timeout: int) -> tuple[Readings, int]:
    """Send it as a migration; return the readings and how often it let others by."""
    with fresh_shop(server) as shop, tempfile.TemporaryDirectory() as place:
        shop.rows(f"CREATE TABLE users (id int); ALTER TABLE users OWNER TO {shop.owner.user}")
        file = Path(place) / "expand" / "001_city.sql"
        file.parent.mkdir()
        file.write_text(ALTER)
        folder = load(Path(place), "1.0.0")
        outcome: list[migrate.MigrateOutcome] = []

        def work() -> None:
            outcome.append(
                migrate.apply(shop.owner, folder, lock_timeout_milliseconds=lock_timeout)
            )

        readings = behind_a_blocker(shop, seconds, work)
        return readings, outcome[0].retries


def show(name: str, readings: Readings, retries: int) -> None:
    """Print a line."""
    print(f"{name:<8} {readings.count:>8} {readings.longest:>9.0f} ms {retries:>8}", flush=True)


def main() -> int:
    """Measure once bare and some times as ours, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocker", type=float, default=8, help="its transaction, in seconds")
    parser.add_argument("--lock-timeout", type=int, default=100, help="in milliseconds")
    parser.add_argument("--rounds", type=int, default=3, help="how often as ours")
    wanted = parser.parse_args()
    limit = wanted.lock_timeout + SLACK_MILLISECONDS
    red = 0
    print(f"{'':<8} {'readings':>8} {'longest':>12} {'retries':>8}")
    with running_server() as server:
        show("bare", *bare(server, wanted.blocker))
        for _ in range(wanted.rounds):
            readings, retries = ours(server, wanted.blocker, wanted.lock_timeout)
            red += readings.longest > limit
            show("ours", readings, retries)
    print(f"limit {limit} ms: {red} of {wanted.rounds} red")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
