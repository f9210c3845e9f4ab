"""The moments before migrations get names in the log, where it is archived, so that each can be gone back to."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import ChangeoverError, LockHeld
from changeover.executors import backup as backups
from changeover.executors.backup import physical

if TYPE_CHECKING:
    from changeover.executors.migrate.ledger import Direction
    from changeover.runner.run import Run

# PostgreSQL keeps 63 bytes of a point's name.
NAME_BYTES = 63
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
DIGITS = 6
# One is a session with the database's host, and takes as long as forty small migrations.
MOST = 20


class Points:
    """The points of one step: one before each migration, and of very many evenly spread ones.

    The proved backup is what a deployment relies on; a point that cannot be named is told, and
    stops nothing. It is not tried again in the same step.

    Args:
        run: Under whose lease.
        migrations: How many there are going to be.
    """

    def __init__(self, run: Run, migrations: int) -> None:
        self._run = run
        self._every = -(-migrations // MOST)
        self._met = 0
        self._able = run.environment.repository_host is not None
        self._late = False
        self.named: list[str] = []

    def before(self, migration: str, direction: Direction = "apply") -> None:
        """Name the moment before a migration is applied or undone, where it is its turn."""
        number, self._met = self._met, self._met + 1
        if self._able and number % max(self._every, 1) == 0:
            self._name(f"undo/{migration}" if direction == "revert" else migration)

    def told(self) -> str:
        """Return what a step adds about them to what it did; nothing where there are none."""
        if not self.named:
            return ""
        if len(self.named) == 1:
            return f"; {self.named[0]} names the moment before"
        spread = f", one to {counted(self._every, 'migration')}" if self._every > 1 else ""
        return f"; {counted(len(self.named), 'point')} name moments in between{spread}"

    def _name(self, what: str) -> None:
        name = name_of(what, self._run.fleet.deployment)
        try:
            point = physical.mark(backups.vault_of(self._run.fleet), name, what)
        except LockHeld:
            raise
        except ChangeoverError as error:
            self._able = False
            self._warn(f"this moment, and later ones, get no name in the archive: {error.message}")
            return
        self.named.append(name)
        says = f"the moment before {what} has a name: changeover backup restore --at {name}"
        event = {"type": "point", "name": name, "at": point.at, "before": what, "says": says}
        self._run.note(event)
        if point.failing and not self._late:
            self._late = True
            self._warn(
                "the log does not arrive in the repository: changeover backup list tells more"
            )

    def _warn(self, words: str) -> None:
        self._run.note({"type": "warning", "says": f"warning: {words}"})


def name_of(what: str, deployment: str) -> str:
    """Return the name of the moment before something is done by a deployment.

    Args:
        what: Such as ``8.0.0/expand/001_add_email``; two that differ get names that differ.
        deployment: Its id.
    """
    slug = NOT_IN_NAMES.sub("-", what)
    room = NAME_BYTES - len(f"before--{deployment}")
    if len(slug) > room:
        digest = hashlib.sha256(what.encode()).hexdigest()[:DIGITS]
        slug = f"{slug[: room - DIGITS - 1]}-{digest}"
    return f"before-{slug}-{deployment}"
