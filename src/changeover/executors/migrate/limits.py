"""What bounds a runner's turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from changeover.executors.migrate.moves import Place
    from changeover.executors.migrate.observation import Observer

    Report = Callable[[dict[str, object]], None]
    Rehearsed = Mapping[Place, float]


class Limits(TypedDict, total=False):
    """What bounds a run.

    Args:
        fence: The deployment's fencing number; None, the default, keeps the ledger's highest.
        deadline_seconds: For everything, waiting for locks included.
        lock_timeout_milliseconds: How long a statement queues for a lock before it lets others by.
        report: Receives one event a statement, retry and migration.
        observer: Watches what each statement does; for a rehearsal.
        rehearsed: What statements took in a rehearsal, in milliseconds; None bounds none by it.
    """

    fence: int | None
    deadline_seconds: float
    lock_timeout_milliseconds: int
    report: Report
    observer: Observer | None
    rehearsed: Rehearsed | None
