"""Let runners loose on one database at the same moment, round after round: each step happens once.

    bench/runners.py --runners 4 --rounds 50

Every round has a database of its own, and migrations with concurrent indexes, which is where a
runner's lock and an index build wait for each other. Red is a runner that fails, a step that
happened twice or not at all, an invalid index, or a deadlock in the server's log.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres.own_server import fresh_shop, running_server, start_runner

from changeover.migrations.folder import load

if TYPE_CHECKING:
    from tests.postgres.own_server import Server, Shop

FILES = {
    "expand/001_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY, name text);"
    "INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 5000) AS n;"
    "CREATE TABLE log (migration text);",
    "expand/002_index.sql": "CREATE INDEX CONCURRENTLY users_name ON users (name);"
    "INSERT INTO log VALUES ('002'); CREATE INDEX CONCURRENTLY users_old ON users (name, id);",
    "expand/003_column.sql": "ALTER TABLE users ADD COLUMN city text; INSERT INTO log VALUES ('003')",
    "expand/004_unique.sql": "CREATE UNIQUE INDEX CONCURRENTLY users_low ON users (lower(name))",
    "expand/005_drop.sql": "DROP INDEX CONCURRENTLY users_old; INSERT INTO log VALUES ('005')",
    "backfill/001_city.sql": "-- changeover: batch table=users key=id size=1000\n"
    "UPDATE users SET city = concat(city, 'here') WHERE id BETWEEN $1 AND $2",
}
ONCE = {
    "rows of the log": ("SELECT string_agg(migration, ' ' ORDER BY 1) FROM log", "002 003 005"),
    "rows filled once": ("SELECT count(*) FROM users WHERE city = 'here'", 5000),
    "migrations applied": (
        "SELECT count(*) FROM changeover.migration WHERE state = 'applied'",
        len(FILES),
    ),
    "how statements were done": (
        "SELECT string_agg(DISTINCT how, ' ') FROM changeover.statement",
        "executed",
    ),
    "invalid indexes": ("SELECT count(*) FROM pg_index WHERE NOT indisvalid", 0),
    "indexes": ("SELECT count(*) FROM pg_indexes WHERE tablename = 'users'", 3),
}


def faults(server: Server, runners: int) -> list[str]:
    """Run one round and return what was wrong with it.

    Args:
        server: Where; its log tells of deadlocks.
        runners: How many start at the same moment.
    """
    logged = server.log.stat().st_size
    with fresh_shop(server) as shop, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, text in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        migrations = load(folder, "1.0.0")
        with contextlib.ExitStack() as stack:
            started = [start_runner(shop, migrations) for _ in range(runners)]
            for runner in started:
                stack.enter_context(runner.process)
            said = [(runner.end(), runner.process.returncode) for runner in started]
        found = [f"a runner ended with {code}: {text}" for text, code in said if code]
        found += _differences(shop)
    if b"deadlock detected" in server.log.read_bytes()[logged:]:
        found.append("the server's log tells of a deadlock")
    return found


def _differences(shop: Shop) -> list[str]:
    return [
        f"{what}: {is_so}, not {expected}"
        for what, (query, expected) in ONCE.items()
        if (is_so := shop.value(query)) != expected
    ]


def main() -> int:
    """Run the rounds, print what was wrong and the counts, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runners", type=int, default=4, help="how many start at the same moment")
    parser.add_argument("--rounds", type=int, default=50, help="how often, each on a new database")
    wanted = parser.parse_args()
    begun = time.monotonic()
    red = 0
    with running_server() as server:
        for number in range(1, wanted.rounds + 1):
            found = faults(server, wanted.runners)
            red += bool(found)
            for fault in found:
                print(f"round {number}: {fault}", flush=True)
    print(
        f"{wanted.rounds} rounds of {wanted.runners} runners, {len(FILES)} migrations each:"
        f" {red} red, {time.monotonic() - begun:.0f} s"
    )
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
