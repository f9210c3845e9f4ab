"""The databases that restores and proofs leave beside the live one: named, and removed by a rule.

A restore keeps the database that was live, with the rows that its backup does not have. Nobody but
a person knows when they are not needed any more, so as many of them stay as proved backups do, and
none goes that a person was not shown, with its rows counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.agent.backup import diff, price, rehearsal, side_database, swap
from changeover.agent.failure import ActionError
from changeover.agent.postgres import slots
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.agent.backup.store import Record, Store

MOMENT = re.compile(r"[0-9]{14}")
IDENTITY = re.compile(r"([0-9]{8})T([0-9]{6})-[0-9a-f]{6}")


def found(store: Store, backups: Sequence[str]) -> list[Record]:
    """Return the databases beside the live one, oldest first: ``name``, ``kind`` and ``bytes``.

    A kind is ``failed`` (was live before a restore), ``warm`` (restored from a backup that is
    there), ``leftover`` (restored from one that is gone, or loaded for a proof that was cut off) or
    ``scratch`` (made for a rehearsal or a comparison: one that was cut off, or is under way).
    ``slots`` of logical replication are told with those that have any.

    Args:
        store: The app's backups.
        backups: The ids of those that are there.
    """
    with Session(store.server, side_database.MAINTENANCE) as session:
        return _found(store, session, backups)


def due(store: Store, backups: Sequence[str], keep: int) -> list[Record]:
    """Return what retention would remove: leftovers, scratch, and all but the ``keep`` newest failed ones.

    Each has what ``found`` tells, ``rows_lost`` and ``lost`` by table: its rows that the live
    database does not have, ``None`` where they cannot be counted. While a restore is unfinished
    there is nothing: what it needs is among them.

    Args:
        store: The app's backups.
        backups: The ids of those that stay.
        keep: How many failed databases stay.
    """
    return [one | _held(store, one["name"]) for one in _due(store, backups, keep)]


def retain(store: Store, backups: Sequence[str], keep: int, agreed: Sequence[str]) -> list[str]:
    """Remove what is due and was agreed to, by name; return the names of what went."""
    gone = [one["name"] for one in _due(store, backups, keep) if one["name"] in agreed]
    with Session(store.server, side_database.MAINTENANCE) as session:
        for name in gone:
            side_database.drop(session, name)
    return gone


def _due(store: Store, backups: Sequence[str], keep: int) -> list[Record]:
    if swap.read(store) is not None:
        return []
    beside = found(store, backups)
    failed = [one for one in beside if one["kind"] == "failed"]
    older = failed[: max(0, len(failed) - keep)]
    return [one for one in beside if one["kind"] in {"leftover", "scratch"}] + older


def _held(store: Store, database: str) -> Record:
    try:
        with Session(store.server, store.database) as live:
            live.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            lost = price.lost(store, database, live)
    except ActionError:
        return {"rows_lost": None, "lost": {}}
    return {"rows_lost": sum(table["lost"] for table in lost.values()), "lost": lost}


def _found(store: Store, session: Session, backups: Sequence[str]) -> list[Record]:
    warm = {store.side(backup): backup for backup in backups}
    beside = []
    for row in session.rows("SELECT datname AS name FROM pg_database"):
        name = str(row["name"])
        failed, restored = store.beside(name, "failed"), store.beside(name, "verify")
        left = restored or store.beside(name, side_database.SCRATCH)
        if failed and MOMENT.fullmatch(failed):
            kind, moment = "failed", failed
        elif name in warm:
            kind, moment = "warm", _moment(warm[name])
        elif left and IDENTITY.fullmatch(left):
            kind, moment = "leftover", _moment(left)
        elif (tried := _tried(store, name)) is not None:
            kind, moment = "scratch", _moment(tried)
        else:
            continue
        size = session.value(f"SELECT pg_database_size({literal(name)}) AS bytes")
        facts = {"name": name, "bytes": size, "kind": kind}
        beside.append((moment, facts | {"slots": slots.found(session, name)}))
    return [one for _, one in sorted(beside, key=lambda pair: (pair[0], pair[1]["name"]))]


def _tried(store: Store, name: str) -> str | None:
    """Return the backup that a rehearsal's clone is of; empty for a comparison's scratch database."""
    rehearsed = store.beside(name, rehearsal.PURPOSE)
    if rehearsed and IDENTITY.fullmatch(rehearsed):
        return rehearsed
    return "" if name == diff.scratch(store) else None


def _moment(backup: str) -> str:
    """Return when a backup was made, as its id tells: a failed database is older than its name."""
    known = IDENTITY.fullmatch(backup)
    return "".join(known.groups()) if known else ""
