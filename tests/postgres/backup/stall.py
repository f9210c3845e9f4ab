"""An exchange of databases held between its two renames, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any, Self

import psycopg
from tests.postgres.moments import until
from tests.postgres.own_server import BINARIES

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

# A psql that stops between the two renames of the swap until it is let go.
STALLING = """#!/usr/bin/python3
import os, pathlib, subprocess, sys, time
mark = pathlib.Path({mark!r})
if sys.argv[-1] != "postgres":
    os.execv({real!r}, ["psql", *sys.argv[1:]])
renames = 0
real = subprocess.Popen([{real!r}, *sys.argv[1:]], stdin=subprocess.PIPE)
for line in sys.stdin.buffer:
    renames += b" RENAME TO " in line
    if renames == 2 and mark.is_dir():
        (mark / str(os.getpid())).write_text(str(real.pid))
        while mark.is_dir() and not (mark / "go").exists():
            time.sleep(0.01)
        renames = 0
    real.stdin.write(line)
    real.stdin.flush()
real.stdin.close()
sys.exit(real.wait())
"""
SWAPPING = "FROM pg_stat_activity WHERE application_name LIKE 'changeover swap %'"
BETWEEN = """SELECT count(*) FROM pg_stat_activity
WHERE state = 'idle in transaction' AND query LIKE '%RENAME TO%'"""


class Stall:
    """The moment between the two renames, held open."""

    def __init__(self, site: Site) -> None:
        self._run = site.shop.server.run
        self._mark = site.root / "mark"
        self._mark.mkdir()
        self._mark.chmod(0o777)
        folder = site.root / "postgresql/15/bin"
        shutil.copytree(BINARIES, folder, symlinks=True)
        (folder / "psql").write_text(
            STALLING.format(mark=str(self._mark), real=str(BINARIES / "psql"))
        )
        site.rewrite_host(binaries=str(site.root / "postgresql"))

    def reached(self) -> list[int]:
        """Wait until the swap stands there; return the ids of its two processes."""
        until(lambda: any(path.read_text() for path in self._mark.iterdir()))
        until(lambda: self._run(BETWEEN) == [(1,)])
        (path,) = self._mark.iterdir()
        return [int(path.name), int(path.read_text())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        (self._mark / "go").touch()


def answers(site: Site) -> bool:
    parameters: dict[str, Any] = {**site.shop.app.parameters(), "connect_timeout": 2}
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(**parameters):
        return True
    return False


def gone(site: Site) -> bool:
    """Tell whether no session of ours is left on the server."""
    rows = site.shop.server.run(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'changeover%'"
        " OR application_name = 'pg_dump' OR application_name LIKE 'pg_restore%'"
    )
    return bool(rows == [(0,)])
