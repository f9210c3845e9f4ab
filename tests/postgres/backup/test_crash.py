"""An agent that dies at the worst moment, and the plain re-run that has to be enough."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest
from tests.postgres.moments import until
from tests.postgres.own_server import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

BINARIES = Path("/usr/lib/postgresql/15/bin")
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


def runs(process: Path) -> bool:
    """Tell whether a process is there and not just unburied."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "zombie" not in (process / "status").read_text()
    return False


def gone(site: Site) -> bool:
    """Tell whether no session of ours is left on the server."""
    rows = site.shop.server.run(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'changeover%'"
        " OR application_name = 'pg_dump' OR application_name LIKE 'pg_restore%'"
    )
    return bool(rows == [(0,)])


@pytest.fixture
def stalled(site: Site) -> Iterator[tuple[Site, Stall, Any, list[int]]]:
    """Give a restore that stands between its two renames, rows written since the backup."""
    site.create()
    site.shop.rows("INSERT INTO audit VALUES ('since')")
    with Stall(site) as stall:
        agent = site.agent("backup_restore", backup="one")
        yield site, stall, agent, stall.reached()


Stalled = tuple["Site", Stall, Any, list[int]]


def told(site: Site) -> Any:  # noqa: ANN401 - JSON
    return site.act("backup_list")["unfinished"]


def test_a_swap_goes_on_without_its_agent_and_the_rerun_says_what_it_did(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    gate = f"SELECT datallowconn FROM pg_database WHERE datname = '{site.shop.name}'"  # noqa: S608
    assert site.shop.server.run(gate) == [(False,)], "nobody may enter while names change"
    assert not answers(site)
    site.act("backup_list")
    assert not answers(site), "who asks while it is under way leaves it alone"
    agent.kill()
    stall.release()
    until(lambda: answers(site))
    assert site.shop.value("SELECT count(*) FROM audit") == 10
    site.shop.rows("INSERT INTO audit VALUES ('written on the restored one')")
    assert (told(site)["backup"], told(site)["live"]) == ("one", True)

    done = site.agent("backup_restore", backup="one", deployment="another").last()

    assert done["type"] == "done", done
    assert done["result"]["resumed"]
    assert done["result"]["rows_lost"] == 1
    assert site.databases() == {site.shop.name, done["result"]["kept"]}
    assert site.shop.value("SELECT count(*) FROM audit") == 11, "what users wrote since stays live"
    assert told(site) is None


def test_a_restore_that_was_cut_off_is_not_passed_off_as_one_after_the_definitions_changed(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    agent.kill()
    stall.release()
    until(lambda: answers(site))
    site.shop.rows("ALTER TABLE audit ADD COLUMN at timestamptz")

    done = site.agent("backup_restore", backup="one", deployment="another").last()

    assert done["error"] == "restored-before"
    assert "rows left behind: 1" in done["message"]
    again = site.agent("backup_restore", backup="one", deployment="third").last()
    assert (again["type"], again["result"]["resumed"]) == ("done", False), again
    assert len(site.databases()) == 3


def test_the_rows_that_a_restore_left_that_was_cut_off_are_counted_before_another_backups(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    agent.kill()
    stall.release()
    until(lambda: answers(site))
    site.create("two")

    done = site.agent("backup_restore", backup="two").last()["result"]

    assert (done["rows_lost"], done["earlier"]["backup"]) == (0, "one")
    assert done["earlier"]["rows_lost"] == 1
    assert site.databases() == {site.shop.name, done["kept"], done["earlier"]["kept"]}


@pytest.mark.parametrize("killed", ["session", "process"])
def test_a_swap_whose_session_or_process_dies_opens_the_gate_again_and_says_so(
    stalled: Stalled, killed: str
) -> None:
    site, stall, agent, processes = stalled
    if killed == "session":
        site.shop.server.run(f"SELECT pg_terminate_backend(pid) {SWAPPING}")
    else:
        for process in processes:
            os.kill(process, signal.SIGKILL)
    stall.release()

    failed = agent.last()

    assert answers(site)
    assert failed["error"] == "swap-failed"
    assert "is as it was and open" in failed["message"]
    assert site.shop.value("SELECT count(*) FROM audit") == 11
    assert told(site) is None


def test_a_gate_that_was_left_shut_by_all_that_died_is_opened_by_whoever_asks_next(
    stalled: Stalled,
) -> None:
    site, stall, agent, processes = stalled
    agent.kill()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    stall.release()
    until(lambda: gone(site))
    assert site.shop.name in site.databases(), "both renames or none"
    assert not answers(site)

    assert told(site) is None, "nothing was exchanged"

    assert answers(site)
    assert site.shop.value("SELECT count(*) FROM audit") == 11
    done = site.agent("backup_restore", backup="one").last()
    assert done["type"] == "done", done
    assert done["result"]["warm"], "what was restored before the crash is not restored again"
    assert done["result"]["rows_lost"] == 1
    assert site.shop.value("SELECT count(*) FROM audit") == 10


def test_a_server_that_crashes_between_the_renames_is_waited_for_and_opened(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    site.shop.server.stop(signal.SIGQUIT)
    stall.release()
    site.shop.server.start()

    assert agent.last()["error"] == "swap-failed"

    assert answers(site)
    assert site.shop.value("SELECT count(*) FROM audit") == 11
    done = site.agent("backup_restore", backup="one").last()
    assert done["type"] == "done", done
    assert done["result"]["rows_lost"] == 1


def test_a_live_name_that_is_missing_is_given_to_the_restored_database(stalled: Stalled) -> None:
    site, stall, agent, processes = stalled
    agent.kill()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    stall.release()
    until(lambda: gone(site))
    kept = f"{site.shop.name}_failed_by_hand"
    site.shop.server.run(f"ALTER DATABASE {site.shop.name} RENAME TO {kept}")

    done = site.agent("backup_restore", backup="one").last()

    assert done["type"] == "done", done
    assert answers(site)
    assert site.shop.value("SELECT count(*) FROM audit") == 10
    assert done["result"]["resumed"]
    assert (done["result"]["kept"], done["result"]["rows_lost"]) == (kept, 1)


def test_another_backup_is_restored_after_the_unfinished_one_is_finished(
    stalled: Stalled,
) -> None:
    site, stall, agent, processes = stalled
    agent.kill()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    stall.release()
    until(lambda: gone(site))
    site.act("backup_list")

    done = site.agent("backup_restore", backup="two").last()
    assert done["error"] == "backup-unknown"
    done = site.agent("backup_restore", backup="one", deployment="another").last()
    assert done["type"] == "done", done
    assert answers(site)


def test_what_the_agent_started_ends_with_it(site: Site) -> None:
    folder = site.root / "postgresql/15/bin"
    shutil.copytree(BINARIES, folder, symlinks=True)
    mark = site.root / "mark"
    mark.touch()
    mark.chmod(0o666)
    (folder / "pg_dump").write_text(
        f"""#!/bin/sh
case "$1" in --version) exec {BINARIES}/pg_dump --version;; esac
echo $$ > {mark}
exec sleep 300
"""
    )
    site.rewrite_host(binaries=str(site.root / "postgresql"))
    agent = site.agent("backup_create", backup="one", release="7", colour="7-0", schema_version="7")
    until(lambda: bool(mark.read_text().strip()))
    dump = Path("/proc") / mark.read_text().strip()
    assert runs(dump)

    agent.kill()

    until(lambda: not runs(dump), 30)


def test_a_database_that_the_server_still_makes_for_a_killed_agent_is_not_in_the_way(
    site: Site,
) -> None:
    site.create()
    waiting = """SELECT pid FROM pg_stat_activity WHERE application_name = 'changeover'
        AND query LIKE 'CREATE DATABASE%' AND wait_event_type = 'Lock'"""

    def make() -> None:
        """Do as the server does that has not heard yet that its client was killed."""
        with (
            contextlib.suppress(psycopg.OperationalError),
            connect(site.shop.server.admin()) as session,
        ):
            session.execute("SET application_name = 'changeover'")
            session.execute(f'CREATE DATABASE "{site.shop.name}_verify_one"')

    maker = threading.Thread(target=make)
    with connect(site.shop.admin) as gate, gate.transaction():
        # whoever makes a database writes there once its name is taken, and before anybody sees it
        gate.execute("LOCK TABLE pg_shdepend")
        maker.start()
        until(lambda: site.shop.server.run(waiting))
        first = set(site.shop.server.run(waiting))
        agent = site.agent("backup_verify", backup="one")
        until(lambda: set(site.shop.server.run(waiting)) - first)
    maker.join()

    done = agent.last()

    assert done["type"] == "done", done
    assert site.databases() == {site.shop.name}


@pytest.mark.parametrize("action", ["backup_create", "backup_verify", "backup_restore"])
def test_an_agent_killed_at_any_moment_leaves_nothing_that_a_rerun_minds(
    site: Site, action: str
) -> None:
    facts = {"release": "7", "colour": "7-0", "schema_version": "7"}
    more: dict[str, Any] = facts if action == "backup_create" else {}
    if action != "backup_create":
        site.create("one")
    moments = random.Random(7)  # noqa: S311 - the same moments in every run
    for round_ in range(8):
        backup = f"b{round_}" if more else "one"
        agent = site.agent(action, backup=backup, deployment=backup, **more)
        time.sleep(moments.uniform(0.15, 2.5))
        agent.kill()
        until(lambda: gone(site), 5)
        if round_ % 2:
            done = site.agent(action, backup=backup, deployment=backup, **more).last()
            assert done["type"] == "done", done
            assert answers(site)
    assert site.shop.value("SELECT count(*) FROM users") == 2000
    assert not list(site.backups.glob("*.partial"))
    assert not [name for name in site.databases() if "_verify_" in name or "definition" in name]
