"""A transaction of a runner's: begun with its limits and its mandate, in one message to the server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate import ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from changeover.executors.migrate.turn import Turn


@contextlib.contextmanager
def transaction(
    turn: Turn, committing: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
) -> Iterator[None]:
    """Hold a transaction on the work session, with the run's limits, while nobody else took over.

    Two hundred migrations are two hundred of these, and each message is waited for: with psycopg's
    own block there are three before the first statement.

    Args:
        turn: The runner's turn.
        committing: What the commit runs in: deferred constraints and triggers may refuse there.

    Raises:
        RunnerFenced: The ledger names another runner.
    """
    work = turn.work
    try:
        answers = work.execute(f"BEGIN; {turn.limits()}; {ledger.HOLDER}".encode())
        answers.set_result(-1)
        ledger.judge(answers.fetchone(), turn.mandate)
        yield
        with committing():
            work.commit()
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            work.rollback()
        raise
