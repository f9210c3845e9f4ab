"""The tools that run the same migrations side by side: how each is started, and where it comes from.

yoyo, Alembic and dbmate are the dependency group ``bench`` of `pyproject.toml`, installed into an
environment of their own below `build/`. Sqitch is Debian's: `apt-get install sqitch libdbd-pg-perl`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.postgres.own_server import BINARIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from changeover.database import Database

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "build" / "bench-peers"
OURS, PSQL, PSQL_EACH = "changeover", "psql, one for all files", "psql -1 -f, for each file"
INSTALL_SECONDS = 600
RUN_SECONDS = 300
MISSING = {
    "sqitch": "apt-get install sqitch libdbd-pg-perl",
    "dbmate": "its package could not be installed",
    "yoyo": "its package could not be installed",
    "alembic": "its package could not be installed",
}
# Nothing of the caller's shell may slow a tool down or speed it up.
DROPPED = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PGOPTIONS", "PGHOST", "PGPORT", "PGDATABASE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One way to run the set.

    Args:
        name: What the table calls it.
        command: Builds the argument list, given the set's folder; no password is in it.
        cwd: Where it is started, below the set's folder.
        variables: Builds its environment variables, given the database.
        request: Builds what it reads on standard input, given the database and the set's folder.
    """

    name: str
    command: Callable[[Database, Path], list[str | Path]]
    cwd: str = "."
    variables: Callable[[Database], Mapping[str, str]] = field(default=lambda _: {})
    request: Callable[[Database, Path], str] = field(default=lambda _, __: "")

    def run(self, database: Database, place: Path) -> None:
        """Run it to its end, cold.

        Raises:
            SystemExit: It failed; its last words are printed.
        """
        kept = {key: value for key, value in os.environ.items() if key not in DROPPED}
        done = subprocess.run(
            self.command(database, place),
            cwd=place / self.cwd,
            env={**kept, "PGPASSWORD": database.password.reveal(), **self.variables(database)},
            input=self.request(database, place),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{self.name}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")


def url(database: Database, scheme: str) -> str:
    """Return the database's URL, with its password."""
    secret = database.password.reveal()
    return f"{scheme}://{database.user}:{secret}@{database.host}:{database.port}/{database.name}"


def conninfo(database: Database) -> str:
    """Return how libpq finds the database; the password is in the environment."""
    return f"host={database.host} port={database.port} dbname={database.name} user={database.user}"


def install() -> None:
    """Install the Python peers into an environment of their own, where they are not."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["dependency-groups"]["bench"]
    stamp = PEERS / "installed"
    if stamp.exists() and stamp.read_text() == "\n".join(wanted):
        return
    commands: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", "--clear", PEERS],
        [PEERS / "bin/python", "-m", "pip", "install", "--quiet", *wanted],
    ]
    for command in commands:
        done = subprocess.run(command, check=False, timeout=INSTALL_SECONDS, stdout=sys.stderr)
        if done.returncode != 0:
            return
    stamp.write_text("\n".join(wanted))


def program(name: str) -> str | None:
    """Return the path of a peer's program, or None where it is not installed."""
    own = PEERS / "bin" / name
    return str(own) if own.exists() else shutil.which(name)


def psql() -> list[Tool]:
    """Return the measures: one psql for the set, and one a file, each file in a transaction."""
    words = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-d")
    # Debian's psql is a wrapper that looks for the right version: that is not counted here.
    own = BINARIES / "psql"
    each = 'for file in plain/*.sql; do "$0" -X -q -1 -v ON_ERROR_STOP=1 -d "$1" -f "$file" || exit; done'
    return [
        Tool(
            name=PSQL,
            command=lambda database, place: [
                *(own, *words, conninfo(database)),
                *("-f", place / "plain.psql"),
            ],
        ),
        Tool(
            name=PSQL_EACH, command=lambda database, _: ["sh", "-c", each, own, conninfo(database)]
        ),
    ]


def peers() -> dict[str, Tool | str]:
    """Return the other tools by name; a sentence where one is not installed."""
    made = {"dbmate": _dbmate, "yoyo": _yoyo, "alembic": _alembic, "sqitch": _sqitch}
    return {
        name: make(found) if (found := program(name)) else MISSING[name]
        for name, make in made.items()
    }


def _dbmate(found: str) -> Tool:
    words = ("--no-dump-schema", "--migrations-dir", "dbmate", "migrate")
    return Tool(
        name="dbmate",
        command=lambda _, __: [found, *words],
        variables=lambda database: {"DATABASE_URL": url(database, "postgres") + "?sslmode=disable"},
    )


def _yoyo(found: str) -> Tool:
    def command(database: Database, place: Path) -> list[str | Path]:
        settings = place / "yoyo.ini"
        where = url(database, "postgresql+psycopg")
        settings.write_text(f"[DEFAULT]\nsources = {place}/yoyo\ndatabase = {where}\n")
        return [found, "apply", "--batch", "--config", settings]

    return Tool(name="yoyo", command=command)


def _alembic(found: str) -> Tool:
    def command(_: Database, place: Path) -> list[str | Path]:
        settings = place / "alembic.ini"
        settings.write_text(f"[alembic]\nscript_location = {place}/alembic\n")
        return [found, "--config", settings, "upgrade", "head"]

    return Tool(
        name="alembic",
        command=command,
        variables=lambda database: {"BENCH_URL": url(database, "postgresql+psycopg")},
    )


def _sqitch(found: str) -> Tool:
    def command(database: Database, place: Path) -> list[str | Path]:
        target = f"db:pg://{database.user}@{database.host}:{database.port}/{database.name}"
        (place / "sqitch/sqitch.conf").write_text(
            f'[core]\n\tengine = pg\n[engine "pg"]\n\ttarget = {target}\n'
            "[user]\n\tname = Bench\n\temail = bench@example.org\n"
        )
        return [found, "deploy"]

    return Tool(
        name="sqitch",
        command=command,
        cwd="sqitch",
        variables=lambda database: {"SQITCH_PASSWORD": database.password.reveal()},
    )
