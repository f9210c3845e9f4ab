"""How a runner's turn ends badly: what is said of it, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate.failures import (
    ConnectionLost,
    DeadlinePassed,
    LedgerUnusable,
    RunnerLockLost,
    ServerSilent,
    TableBusy,
)

if TYPE_CHECKING:
    from changeover.database import Database

AGAIN = "run the same command again: it continues where this stopped"


def lock_lost(database: Database, error: psycopg.Error) -> RunnerLockLost:
    """Return the failure of a run whose lock session is gone."""
    return RunnerLockLost(
        f"the session that held the runner lock of {database.name} is gone",
        host=database.shown_host,
        cause=str(error).strip(),
        hint=AGAIN,
    )


def server_silent(database: Database, seconds: float) -> ServerSilent:
    """Return the failure of a run whose statement could not be cancelled."""
    return ServerSilent(
        f"the server of {database.name} did not end a statement within {seconds:.0f} s of being"
        " told to; it may still be at work on it",
        host=database.shown_host,
        hint="see that the server runs, then run the same command again: it ends what is left of"
        " this one first",
    )


def deadline_passed(
    database: Database, error: psycopg.Error, seconds: float, in_the_way: str
) -> DeadlinePassed:
    """Return the failure of a run whose statement was cancelled at the deadline."""
    return DeadlinePassed(
        f"a statement was still running after {seconds:.0f} s and was cancelled{in_the_way}",
        host=database.shown_host,
        cause=str(error).strip(),
        hint="run the same command again when the way is free: it continues where this stopped",
    )


def table_busy(
    database: Database, error: psycopg.Error, tried: str, seconds: float, in_the_way: str
) -> TableBusy:
    """Return the failure of a run that others let to no lock."""
    return TableBusy(
        f"{tried} within {seconds:.0f} s{in_the_way}",
        host=database.shown_host,
        cause=str(error).strip().splitlines()[0],
        hint="end what is in the way, or wait for it, then run the same command again",
    )


def session_ended(database: Database, error: psycopg.Error) -> ConnectionLost:
    """Return the failure of a run whose session the server ended."""
    return ConnectionLost(
        f"{database.name} ended the session",
        host=database.shown_host,
        cause=str(error).strip(),
        hint=AGAIN,
    )


def untold(database: Database, error: psycopg.Error) -> ConnectionLost | LedgerUnusable:
    """Give the ledger's own errors a name: those of migrations have theirs already."""
    if isinstance(error, psycopg.OperationalError):
        return ConnectionLost(
            f"{database.name} ended the session or kept it waiting",
            host=database.shown_host,
            cause=str(error).strip(),
            hint=AGAIN,
        )
    return LedgerUnusable(
        f"{database.user} cannot use the ledger of {database.name}",
        host=database.shown_host,
        cause=str(error).strip(),
        hint="make that role the owner of the schema changeover and what is in it",
    )
