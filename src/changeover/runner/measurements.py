"""What a rehearsal measured of each statement: as an event, in words, and for the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.executors import migrate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.executors.migrate import Observed
    from changeover.executors.migrate.observation import Lock
    from changeover.migrations.records import MigrationFolder
    from changeover.runner.run import Event

MEGABYTE = 1_000_000


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
        (migration.id, statement.number): statement.digest
        for folder in folders
        for migration in folder.migrations
        for statement in migration.statements
    }
    return [
        migrate.Measured(
            migration=each.migration,
            number=each.number,
            digest=digests[(each.migration, each.number)],
            milliseconds=each.milliseconds,
            held_milliseconds=each.held_milliseconds,
            locks=tuple(met(lock, rows) for lock in waited_for(each, rows)),
            rewritten=each.rewritten,
            deployment=deployment,
        )
        for each in seen
    ]


def waited_for(observed: Observed, rows: Mapping[str, int]) -> list[Lock]:
    """Return the locks that somebody would wait for: on tables that were there before."""
    return [
        lock
        for lock in observed.locks
        if lock.mode.blocks_writes and _known(lock.table, rows) is not None
    ]


def _known(table: str, rows: Mapping[str, int]) -> int | None:
    return rows.get(table, rows.get(f"public.{table}"))


def met(lock: Lock, rows: Mapping[str, int]) -> migrate.Met:
    """Return a lock as the ledger keeps it."""
    return migrate.Met(
        table=lock.table,
        mode=lock.mode.label,
        rows=_known(lock.table, rows) or 0,
        size_bytes=lock.size_bytes,
        who_waits=lock.mode.who_waits,
    )


def event(observed: Observed, rows: Mapping[str, int]) -> Event:
    """Return a statement's figures as an event of the rehearsal."""
    waits = waited_for(observed, rows)
    says = (
        f"{observed.migration} {observed.number}/{observed.of} {observed.kind}"
        f" took {observed.milliseconds:.0f} ms"
    )
    for lock in waits:
        count = _known(lock.table, rows)
        says += (
            f"; {lock.mode.label} on {lock.table} ({counted(count or 0, 'row')},"
            f" {lock.size_bytes / MEGABYTE:.1f} MB) for {observed.held_milliseconds:.0f} ms:"
            f" {lock.mode.who_waits}"
        )
    if observed.rewritten:
        says += f"; writes {', '.join(observed.rewritten)} anew"
    return {
        "type": "rehearsed",
        "migration": observed.migration,
        "number": observed.number,
        "kind": observed.kind,
        "milliseconds": round(observed.milliseconds, 1),
        "held_milliseconds": round(observed.held_milliseconds, 1),
        "locks": [
            {"table": lock.table, "mode": lock.mode.label, "size_bytes": lock.size_bytes}
            for lock in waits
        ],
        "rewritten": list(observed.rewritten),
        "says": says,
    }
