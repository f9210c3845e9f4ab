"""What a rehearsal's clone costs beside the backup, and how a database of each size is best copied.

    bench/rehearsal.py --gigabytes 1 --rounds 3

First the two strategies of ``CREATE DATABASE ... TEMPLATE`` by size, in turns, on a server that
writes all the while: file_copy forces two checkpoints, which others feel, and wal_log sends every
page through the log. `agent/backup/rehearsal.py` changes over at COPY_FILES_FROM_BYTES. Then, at the
full size, the backup, its proof and the clone made of the database that the proof left.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import large_database
from bench.rounds import machine

from changeover.agent.backup import create, rehearsal, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rounds import Rounds
    from tests.postgres.own_server import Server

    from changeover.agent.backup.store import Store

SHARES = (0.06, 0.12, 0.25, 0.5, 1.0)
STRATEGIES = ("file_copy", "wal_log")
CREATED, PROVED, CLONED, ENDED = (
    "backup create",
    "its proof",
    "the rehearsal's clone",
    "dropping it",
)
# Pages that a checkpoint has to write first.
BUSY = "UPDATE busy SET n = n + 1"


def seconds_of(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def copies(server: Server, rounds: Rounds, gigabytes: float) -> list[str]:
    """Copy a database of each size by both strategies, and return what the figures are called."""
    server.run("CREATE TABLE busy AS SELECT n, repeat('x', 200) FROM generate_series(1, 50000) n")
    names = []
    for share in SHARES:
        server.run("CREATE DATABASE source")
        large_database.fill(server, "source", gigabytes * share)
        for strategy in STRATEGIES:
            name = f"{gigabytes * share * 1000:.0f} MB by {strategy}"
            names.append(name)
            server.run(BUSY)
            copy = f"CREATE DATABASE copy TEMPLATE source STRATEGY {strategy}"
            rounds.note(name, seconds_of(lambda copy=copy: server.run(copy)))  # type: ignore[misc]
            server.run("DROP DATABASE copy")
        server.run("DROP DATABASE source")
    server.run("DROP TABLE busy")
    return names


def shares(store: Store, rounds: Rounds) -> None:
    """Time a backup, its proof, and a rehearsal's clone of what the proof left."""
    wish = create.Wish(backup="one", release="", colour="", schema_version="")
    rounds.note(CREATED, seconds_of(lambda: create.create(store, wish)))
    rounds.note(PROVED, seconds_of(lambda: verify.verify(store, "one", keep=True)))
    rounds.note(CLONED, seconds_of(lambda: rehearsal.begin(store, "one")))
    rounds.note(ENDED, seconds_of(lambda: rehearsal.end(store, "one")))


def main() -> int:
    """Measure and print."""
    with large_database.asked_for(__doc__.partition("\n")[0]) as bench:
        rounds, server = bench.rounds, bench.server
        for _ in range(bench.count):
            names = copies(server, rounds, bench.gigabytes)
        size = 0
        for number in range(bench.count):
            name = f"shop{number}"
            store = large_database.store(server, bench.directory, name)
            size = large_database.fill(server, name, bench.gigabytes)
            shares(store, rounds)
            server.run(f"DROP DATABASE {name}")
    print(machine(), *rounds.table(names, names[0]), sep="\n")
    for by_files, by_log in zip(names[::2], names[1::2], strict=True):
        print(f"{by_files}: {rounds.ratio(by_files, by_log):.2f} of the time of wal_log")
    print(f"a database of {size / 1e9:.2f} GB")
    print(*rounds.table([CREATED, PROVED, CLONED, ENDED], CREATED), sep="\n")
    backup = [sum(pair) for pair in zip(rounds.taken[CREATED], rounds.taken[PROVED], strict=True)]
    clone = [one / whole for one, whole in zip(rounds.taken[CLONED], backup, strict=True)]
    print(f"the clone takes {statistics.median(clone):.2f} of the backup and its proof")
    return 0


if __name__ == "__main__":
    sys.exit(main())
