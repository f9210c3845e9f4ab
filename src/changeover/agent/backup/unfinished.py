"""A restore that was cut off: what it left shut is opened by whoever comes next, and it is told.

Whoever asks about the app's backups comes here first. Where the exchange is still under way its
process holds the store's lock, and nothing is touched. What is left to do for the restored rows,
which is to count those that were left behind, is for the restore's own re-run.
"""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

from changeover.agent.backup import gate, side_database, swap
from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.agent.backup.store import Record, Store


def tend(store: Store) -> None:
    """Open the gate that a dead exchange left shut, and forget one that did not happen.

    Where the server answers nobody, or another agent is at work, there is nothing to do here.
    """
    if not (store.root / swap.RECORD).exists():
        return
    with contextlib.suppress(ActionError, OSError), _alone(store):
        record = swap.read(store)
        if record is None:
            return
        with Session(store.server, side_database.MAINTENANCE) as session:
            gate.end(session, record)
            gate.reopen(session, record)
            live = swap.oid(session, record["live"])
        if live is not None and live != int(record["side_oid"]):
            swap.conclude(store)


def told(store: Store) -> Record | None:
    """Return the restore that was begun and not finished, if there is one.

    Returns:
        ``backup``, ``at``, the ``deployment`` that began it, and ``live``: whether the restored
        database is the live one, ``None`` where the server does not say.
    """
    try:
        record = swap.read(store)
        if record is None:
            return None
        facts = {name: record[name] for name in ("backup", "at", "deployment")}
    except (ActionError, KeyError):
        return None
    try:
        with Session(store.server, side_database.MAINTENANCE) as session:
            return facts | {"live": swap.swapped(session, record)}
    except ActionError:
        return facts | {"live": None}


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Hold the store's lock where it is free.

    Raises:
        BlockingIOError: It is not.
    """
    with (store.root / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
