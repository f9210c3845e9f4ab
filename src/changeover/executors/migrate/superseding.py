"""Refuse a runner that was overtaken, whose turn it may still be, from its next statement on."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate import ledger, turn_failures
from changeover.executors.migrate.session import LOOK, connect

if TYPE_CHECKING:
    from changeover.database import Database

# The row that names the runner is held for as long as one statement of its takes; each try waits for
# it as long as a session of ours waits for a lock, a second.
TRIES = 10


def supersede(database: Database, number: int) -> None:
    """Write a new runner's number into the ledger, where there is one; nobody's turn is waited for.

    The statement at hand is finished, and every one after it is refused as `RunnerFenced`.

    Args:
        database: Where, as the owner role.
        number: The fencing number of whoever took the lease over.

    Raises:
        ConnectionLost: The statement at hand did not end in time, or the session broke off.
        LedgerUnusable: The ledger cannot be written.
    """
    mandate = ledger.Mandate(fence=number, runner=secrets.token_hex(8))
    try:
        with connect(database, LOOK) as connection:
            if not ledger.exists(connection):
                return
            for left in reversed(range(TRIES)):
                try:
                    ledger.take(connection, mandate, newest=True)
                except psycopg.errors.LockNotAvailable:
                    if not left:
                        raise
                else:
                    return
    except psycopg.Error as error:
        raise turn_failures.untold(database, error) from error
