"""An agent that dies at the worst moment, and the plain re-run that has to be enough."""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.postgres.backup.stall import answers, gone
from tests.postgres.moments import until
from tests.postgres.own_server import BINARIES, connect

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres


def runs(process: Path) -> bool:
    """Tell whether a process is there and not just unburied."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "zombie" not in (process / "status").read_text()
    return False


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
