"""What a rehearsal measured of each statement: as an event, in words, and for the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import duration
from changeover.counts import counted
from changeover.executors import migrate

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from changeover.executors.migrate import Observed
    from changeover.migrations.records import MigrationFolder
    from changeover.runner.run import Event

MEGABYTE = 1_000_000
HELD_UP = {
    "alone": "who changes its definition waits, and vacuum",
    "batches": "writers of the same rows wait",
}


def taken(
    seen: Sequence[Observed],
    folders: Sequence[MigrationFolder],
    rows: Mapping[str, int],
    deployment: str,
) -> list[migrate.Measured]:
    """Return what the statements took, for the ledger.

    Args:
        seen: What was observed of them.
        folders: The migrations they are of.
        rows: How many rows each table had before.
        deployment: Whose rehearsal it was.
    """
    digests = {
        (migration.id, direction, statement.number): statement.digest
        for folder in folders
        for migration in folder.migrations
        for direction, statements in (
            ("apply", migration.statements),
            ("revert", migration.revert),
        )
        for statement in statements
    }
    return [
        migrate.Measured(
            migration=each.migration,
            direction=each.direction,
            number=each.number,
            digest=digests[(each.migration, each.direction, each.number)],
            milliseconds=each.milliseconds,
            held_milliseconds=each.held_milliseconds,
            locks=_met(each, rows),
            rewritten=each.rewritten,
            deployment=deployment,
        )
        for each in seen
    ]


def told(found: migrate.Measured | None, now: dt.datetime) -> tuple[str, ...]:
    """Return what a rehearsal measured of a statement, for a plan; nothing where none did.

    Args:
        found: What the ledger remembers of exactly this statement.
        now: The server's clock.
    """
    if found is None or found.at is None:
        return ()
    age = duration.words(max((now - found.at).total_seconds(), 0))
    rewritten = f"; writes {', '.join(found.rewritten)} anew" if found.rewritten else ""
    return (
        f"measured {age} ago: {found.milliseconds:.0f} ms{rewritten}",
        *(f"measured: {_words(lock, found.held_milliseconds)}" for lock in found.locks),
    )


def shutting_out(observed: Observed, rows: Mapping[str, int]) -> bool:
    """Tell whether users would wait for as long as its locks are held."""
    return any(
        lock.mode.blocks_writes and _known(lock.table, rows) is not None for lock in observed.locks
    )


def event(observed: Observed, rows: Mapping[str, int]) -> Event:
    """Return a statement's figures as an event of the rehearsal."""
    waits = _met(observed, rows)
    says = (
        f"{observed.migration} {observed.number}/{observed.of} {observed.kind}"
        f" took {observed.milliseconds:.0f} ms"
    )
    says += "".join(f"; {_words(lock, observed.held_milliseconds)}" for lock in waits)
    if observed.rewritten:
        says += f"; writes {', '.join(observed.rewritten)} anew"
    return {
        "type": "rehearsed",
        "migration": observed.migration,
        "direction": observed.direction,
        "number": observed.number,
        "kind": observed.kind,
        "milliseconds": round(observed.milliseconds, 1),
        "held_milliseconds": round(observed.held_milliseconds, 1),
        "locks": [
            {"table": lock.table, "mode": lock.mode, "size_bytes": lock.size_bytes}
            for lock in waits
        ],
        "rewritten": list(observed.rewritten),
        "says": says,
    }


def _met(observed: Observed, rows: Mapping[str, int]) -> tuple[migrate.Met, ...]:
    """Return the locks that somebody would wait for: on tables that were there before.

    Alone and in batches a statement shuts nobody out from a table, and holds others up all the same.
    """
    return tuple(
        migrate.Met(
            table=lock.table,
            mode=lock.mode.label,
            rows=_known(lock.table, rows) or 0,
            size_bytes=lock.size_bytes,
            who_waits=lock.mode.who_waits if lock.mode.blocks_writes else HELD_UP[observed.how],
        )
        for lock in observed.locks
        if _known(lock.table, rows) is not None
        and (lock.mode.blocks_writes or observed.how in HELD_UP)
    )


def _words(lock: migrate.Met, held_milliseconds: float) -> str:
    return (
        f"{lock.mode} on {lock.table} ({counted(lock.rows, 'row')},"
        f" {lock.size_bytes / MEGABYTE:.1f} MB) for {held_milliseconds:.0f} ms: {lock.who_waits}"
    )


def _known(table: str, rows: Mapping[str, int]) -> int | None:
    return rows.get(table, rows.get(f"public.{table}"))
