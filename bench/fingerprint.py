"""Time the fingerprint of a database of about a gigabyte against its dump, and both at once.

    bench/fingerprint.py --gigabytes 1 --rounds 3

The dump is the one that `backup create` makes: directory format, a worker a processor up to four,
compressed at level 1; pg_dump's own default, one worker and its usual compression, stands beside it.
The fingerprint is the agent's own, of every table, on a server with default
parallelism. Each is timed alone, and then the whole backup, in which they run beside each other and
share one snapshot. Red is a fingerprint that takes more than a quarter of the dump's time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import large_database
from bench.rounds import machine

from changeover.agent.backup import create
from changeover.agent.backup.store import give
from changeover.agent.postgres import content, tools
from changeover.agent.postgres.session import Session
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.agent.backup.store import Store

RATIO_AIM = 0.25
DUMP, USUAL, FINGERPRINT, BY_TEXT, BACKUP = (
    "the dump alone",
    "pg_dump --format=custom",
    "the fingerprint alone",
    "by the text of rows, as it was",
    "backup create: both, and definitions",
)


def dump(store: Store) -> float:
    """Dump the database as a backup does, and return the seconds."""
    jobs = f"--jobs={create.jobs_for(0)}"
    return dumped(store, "--format=directory", jobs, "--compress=1")


def dumped(store: Store, *options: str) -> float:
    """Dump the database with these options, and return the seconds."""
    place = store.root / "alone"
    give(store.root, 0o750, owner=tools.SYSTEM_USER)
    program = store.server.program("pg_dump")
    begun = time.perf_counter()
    tools.run(store.server, [program, *options, f"--file={place}", "-d", store.database])
    seconds = time.perf_counter() - begun
    if place.is_dir():
        durable.remove_tree(place)
    else:
        place.unlink()
    return seconds


def fingerprint(store: Store, how: str) -> float:
    """Take the fingerprint of every table, and return the seconds."""
    begun = time.perf_counter()
    with Session(store.server, store.database) as session:
        content.fingerprints(session, how)
    return time.perf_counter() - begun


def backup(store: Store) -> float:
    """Make a whole backup, and return the seconds."""
    begun = time.perf_counter()
    create.create(store, create.Wish(backup="one", release="", colour="", schema_version=""))
    seconds = time.perf_counter() - begun
    durable.remove_tree(store.path("one"))
    return seconds


def main() -> int:
    """Measure, print, and tell by the exit code whether the aim was reached."""
    with large_database.asked_for(__doc__.partition("\n")[0]) as bench:
        rounds, server = bench.rounds, bench.server
        store = large_database.store(server, bench.directory, "shop")
        size = large_database.fill(server, "shop", bench.gigabytes)
        dump(store)  # what is read first is read from the disk
        measures: list[tuple[str, Callable[[], float]]] = [
            (DUMP, lambda: dump(store)),
            (USUAL, lambda: dumped(store, "--format=custom")),
            (FINGERPRINT, lambda: fingerprint(store, "value")),
            (BY_TEXT, lambda: fingerprint(store, "text")),
            (BACKUP, lambda: backup(store)),
        ]
        for number in range(bench.count):
            for name, measure in measures[:: 1 if number % 2 == 0 else -1]:
                rounds.note(name, measure())
    print(
        machine(),
        f"a database of {size / 1e9:.2f} GB",
        *rounds.table([DUMP, USUAL, FINGERPRINT, BY_TEXT, BACKUP], DUMP),
        sep="\n",
    )
    ratio = rounds.ratio(FINGERPRINT, DUMP)
    print(
        f"the fingerprint takes {ratio:.2f} of the dump's time (aim {RATIO_AIM}), and"
        f" {rounds.ratio(FINGERPRINT, USUAL):.2f} of that of pg_dump's defaults"
    )
    return 0 if ratio <= RATIO_AIM else 1


if __name__ == "__main__":
    sys.exit(main())
