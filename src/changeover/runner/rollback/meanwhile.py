"""What a rollback learns while hosts say what is live: its releases, and the ledger's fencing number."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from changeover.executors import migrate
from changeover.runner import database

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.runner.context import Context
    from changeover.runner.fleet.survey import Seen
    from changeover.runner.run import Run

# Who needs the releases, or undoes something, asks again and is told what is wrong.
READ_SECONDS = 30.0
ASK_SECONDS = 15.0


class Meanwhile:
    """Both are under way from the beginning; whoever needs one of them waits for it then."""

    def __init__(self, context: Context, run: Run) -> None:
        self._run = run
        self._host = database.database_host(run.environment, run.app)
        self._number: list[int] = []
        self._reading = _beside(lambda: context.releases)
        self._asking = _beside(self._ask) if self._host else None

    def end(self, seen: Seen) -> None:
        """Wait for the releases, and have the lease outnumber the ledger, which fences what is undone.

        A database host that was made anew counts its leases from 1 again. Users go back without a
        number, too: who has to undo asks the ledger again once the lease is held.
        """
        self._reading.join(READ_SECONDS)
        if self._asking is None or self._host is None or self._host.name in seen.lost:
            return
        self._asking.join(ASK_SECONDS)
        for number in self._number:
            database.exceed(self._run, number)

    def _ask(self) -> None:
        with database.owner_database(self._run.environment, self._run.app) as place:
            self._number.append(migrate.fence(place))


def _beside(work: Callable[[], object]) -> threading.Thread:
    """Start what must not keep anybody; where it fails, who needs it asks again and is told why."""

    def done() -> None:
        with contextlib.suppress(Exception):
            work()

    thread = threading.Thread(target=done, name="meanwhile", daemon=True)
    thread.start()
    return thread
