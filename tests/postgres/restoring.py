"""A restore that may be killed at any moment, alone or with all that it started."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    import random

    from tests.postgres.backup.conftest import Agent, Site
    from tests.postgres.own_server import Runner


@dataclasses.dataclass(frozen=True, slots=True)
class Restoring:
    """An agent that puts a backup in the live database's place; ``warm`` leaves only the swap.

    Each run is of a deployment of its own, and users write before it wherever they are let in.

    Args:
        site: The host.
        warm: Whether the backup is restored beside the live one already.
        over: How many restores were over when each run began.
        written: The lines that users were told are written.
        answers: What the runs that were not killed said.
    """

    site: Site
    warm: bool
    over: list[int] = dataclasses.field(default_factory=list)
    written: list[str] = dataclasses.field(default_factory=list)
    answers: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def record(self) -> Path:
        return self.site.backups / "restore.json"

    def start(self) -> Agent:
        line = f"user {len(self.over)}"
        parameters: dict[str, Any] = dict(self.site.shop.app.parameters())
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(**parameters).close()
            self.site.shop.rows(f"INSERT INTO audit VALUES ('{line}')")  # noqa: S608 - own words
            self.written.append(line)
        kept = len(self.kept())
        assert kept <= sum(self.over[-1:]) + 1, "a run exchanged what was exchanged"
        self.over.append(kept - self._cut_off())
        return self.site.agent("backup_restore", backup="one", deployment=f"try{len(self.over)}")

    def kept(self) -> set[str]:
        return {name for name in self.site.databases() if "_failed_" in name}

    def _cut_off(self) -> bool:
        """Tell whether databases were exchanged by a restore that is not over."""
        named = f"SELECT oid::int FROM pg_database WHERE datname = '{self.site.shop.name}'"  # noqa: S608
        ((live,),) = self.site.shop.server.run(named)
        with contextlib.suppress(FileNotFoundError):
            return bool(json.loads(self.record.read_text())["side_oid"] == live)
        return False

    def begun(self) -> bool:
        session = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'changeover'"
        return bool((self.record.exists() or not self.warm) and self.site.shop.server.run(session))

    def kill(self, running: Runner | Agent, chance: random.Random) -> None:
        """Kill the agent, or it and all that it started: the swap outlives the agent alone."""
        children = descendants(running.process.pid) if chance.random() < 1 / 2 else []
        os.kill(running.process.pid, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        running.process.communicate(timeout=60)

    def free(self) -> bool:
        with (self.site.backups / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def finish(self) -> int:
        done = self.start().last()
        assert done["type"] == "done", done
        self.answers.append(done["result"])
        return int(done["result"]["resumed"])

    def check(self) -> None:
        """Compare rows, names and gates: one exchange, its rows counted, and no line of users' gone."""
        live, lines = self.site.shop.name, "SELECT line FROM audit WHERE line <> 'the same line'"
        parameters: dict[str, Any] = dict(self.site.shop.app.parameters())
        psycopg.connect(**parameters).close()
        kept = self.kept()
        assert self.site.databases() == {live, *kept}
        assert len(kept) == 1 + self.over[-1], "a run that was cut off is finished, not done again"
        found = {name: self.site.shop.server.run(lines, name) for name in (live, *kept)}
        assert sorted(row[0] for rows in found.values() for row in rows) == sorted(self.written)
        for answer in self.answers:
            assert answer["rows_lost"] == len(found[answer["kept"]])
        assert self.site.shop.value("SELECT count(*) FROM users") == 2000
        assert self.record.exists(), "it counts as cut off until it is told"
        self.site.act("backup_told", backup="one")
        assert not self.record.exists()


def descendants(process: int) -> list[int]:
    """Return the processes that one has started, and those that these have started."""
    found = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, children.read_text().split()):
                found += [child, *descendants(child)]
    return found
