"""Run 200 small migrations with changeover, psql, dbmate, yoyo, Alembic and Sqitch, side by side.

    bench/migrations.py --rounds 5

Every tool gets the same SQL, a file and a transaction a migration, an empty database of its own on
one server, and is a process started cold; the tools take turns within a round. Then each is started
again, with nothing to do. The server waits for its disk at each commit (fsync).

Two measures, by the server's own psql: ``psql -1 -f FILE`` for each file, which is what 1.5 times is
held to, and one psql that runs all files, each between BEGIN and COMMIT. The second one starts once
and keeps no ledger. A Python process does not come to it, so beside the whole process stands what
our run takes once Python has imported and parsed: that is the ledger's price.

changeover is measured as the runner on a folder: a process that imports what `db migrate` runs with,
reads the files and applies them. The tunnel to a host, the lease and the journal of the verb are not
in it. Red is more than 1.5 times ``psql -1 -f``, or more than 0.5 s with nothing to do. A peer that is
not there is told as such: `apt-get install sqitch libdbd-pg-perl`; the others are installed from PyPI.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import migration_set, migration_tools
from bench.migration_tools import OURS, PSQL, PSQL_EACH, ROOT, Tool
from bench.rounds import Rounds, end_as_by_hand, machine
from tests.postgres.own_server import fresh_shop, running_server

from changeover.executors import migrate
from changeover.migrations.folder import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.postgres.own_server import Server

    from changeover.database import Database

SETTINGS = {"fsync": "on", "shared_buffers": "128MB"}
RATIO_AIM, NO_OP_AIM_SECONDS = 1.5, 0.5
AGAIN = ", nothing to do"
RUNNER = ROOT / "tests/postgres/run_migrations.py"
IMPORTS = "import changeover.executors.migrate, changeover.migrations.folder"
BARE, IMPORTED, LOADED, APPLIED, FOUND = (
    "python, empty",
    "python, with the runner's imports",
    "of it: files read and parsed",
    "of it: run on the server",
    "of it, nothing to do: asked of the server",
)
TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'shop%'"


def ours() -> Tool:
    """Return our runner as a tool."""

    def request(database: Database, place: Path) -> str:
        facts = dataclasses.asdict(database) | {"password": database.password.reveal()}
        where = {"folder": str(place / "changeover"), "release": "1.0.0"}
        return json.dumps({"database": facts, **where, "deadline_seconds": 300})

    return Tool(name=OURS, command=lambda _, __: [sys.executable, RUNNER], request=request)


def seconds_of(tool: Tool, database: Database, place: Path) -> float:
    """Return how long one run of a tool takes, its start and end included."""
    begun = time.perf_counter()
    tool.run(database, place)
    return time.perf_counter() - begun


def measure(server: Server, place: Path, tool: Tool, rounds: Rounds) -> None:
    """Let a tool make an empty database whole, and then find nothing to do.

    Raises:
        SystemExit: It failed, or did not make all tables.
    """
    with fresh_shop(server) as shop:
        server.run("CHECKPOINT")
        rounds.note(tool.name, seconds_of(tool, shop.owner, place))
        wanted = 2 * len(migration_set.THINGS)
        if (made := shop.value(TABLES)) != wanted:
            sys.exit(f"{tool.name} made {made} tables of {wanted}")
        if tool.name not in {PSQL, PSQL_EACH}:
            rounds.note(tool.name + AGAIN, seconds_of(tool, shop.owner, place))


def measure_parts(server: Server, place: Path, rounds: Rounds) -> None:
    """Take our own run apart: Python's start, imports, parsing, and what is done on the server."""
    for name, code in ((BARE, "pass"), (IMPORTED, IMPORTS)):
        program = Tool(name=name, command=lambda _, __, code=code: [sys.executable, "-c", code])  # type: ignore[misc]
        rounds.note(name, seconds_of(program, server.admin(), place))
    begun = time.perf_counter()
    folder = load(place / "changeover", "1.0.0")
    rounds.note(LOADED, time.perf_counter() - begun)
    with fresh_shop(server) as shop:
        for name in (APPLIED, FOUND):
            begun = time.perf_counter()
            migrate.apply(shop.owner, folder)
            rounds.note(name, time.perf_counter() - begun)


def show(rounds: Rounds, peers: Sequence[str]) -> bool:
    """Print the tables and return whether the aims were reached."""
    again = [name + AGAIN for name in (OURS, *peers)]
    print(
        machine(),
        f"{migration_set.COUNT} migrations, a transaction each",
        *rounds.table([PSQL, PSQL_EACH, OURS, *peers], PSQL),
        "with nothing to do",
        *rounds.table(again, OURS + AGAIN),
        "where changeover's time goes",
        *rounds.table([BARE, IMPORTED, LOADED, APPLIED, FOUND], OURS),
        sep="\n",
    )
    ratio, no_op = rounds.ratio(OURS, PSQL_EACH), rounds.middle(OURS + AGAIN)
    print(
        f"{OURS} takes {ratio:.2f} times psql with a transaction a file (aim {RATIO_AIM}),"
        f" {rounds.ratio(OURS, PSQL):.2f} times one psql for all files and"
        f" {rounds.ratio(APPLIED, PSQL):.2f} times that without Python's start; with nothing to do"
        f" {no_op:.2f} s (aim {NO_OP_AIM_SECONDS} s)"
    )
    return ratio <= RATIO_AIM and no_op <= NO_OP_AIM_SECONDS


def main() -> int:
    """Measure, print, and tell by the exit code whether the aims were reached."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--no-peers", action="store_true", help="psql and changeover alone")
    given = words.parse_args()
    end_as_by_hand()
    if not given.no_peers:
        migration_tools.install()
    found = {} if given.no_peers else migration_tools.peers()
    rounds = Rounds(absent={name: tool for name, tool in found.items() if isinstance(tool, str)})
    rounds.absent |= {name + AGAIN: why for name, why in rounds.absent.items()}
    tools = [*migration_tools.psql(), ours(), *(t for t in found.values() if isinstance(t, Tool))]
    with (
        tempfile.TemporaryDirectory(prefix="changeover-bench-") as directory,
        running_server(settings=SETTINGS) as server,
    ):
        place = Path(directory)
        migration_set.write(place)
        for number in range(given.rounds):
            # Each round begins with another tool, so that none always follows the same one.
            turn = number % len(tools)
            for tool in [*tools[turn:], *tools[:turn]]:
                measure(server, place, tool, rounds)
            measure_parts(server, place, rounds)
    return 0 if show(rounds, list(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
