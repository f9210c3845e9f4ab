"""The databases that restores and proofs leave beside the live one: named, and removed by a rule.

A restore keeps the database that was live, with the rows that its backup does not have. Nobody but
a person knows when they are not needed any more, so as many of them stay as proved backups do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.agent import backup_side, backup_swap
from changeover.agent.postgres_session import Session
from changeover.agent.postgres_tools import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.agent.backup_store import Record, Store

FAILED = re.compile(r"_failed_[0-9]{14}")
RESTORED = re.compile(r"_verify_[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")


def found(store: Store, backups: Sequence[str]) -> list[Record]:
    """Return the databases beside the live one, oldest first: ``name``, ``kind`` and ``bytes``.

    A kind is ``failed`` (was live before a restore), ``warm`` (restored from a backup that is
    there) or ``leftover`` (restored from one that is gone).

    Args:
        store: The app's backups.
        backups: The ids of those that are there.
    """
    with Session(store.server, backup_side.MAINTENANCE) as session:
        return _found(store, session, backups)


def retain(store: Store, backups: Sequence[str], keep: int) -> list[str]:
    """Remove leftovers and all but the ``keep`` newest failed databases; return their names.

    While a restore is unfinished nothing is removed: what it needs is among them.
    """
    if backup_swap.read(store) is not None:
        return []
    with Session(store.server, backup_side.MAINTENANCE) as session:
        beside = _found(store, session, backups)
        failed = [one["name"] for one in beside if one["kind"] == "failed"]
        gone = [one["name"] for one in beside if one["kind"] == "leftover"]
        gone += failed[: max(0, len(failed) - keep)]
        for name in gone:
            backup_side.drop(session, name)
        return gone


def _found(store: Store, session: Session, backups: Sequence[str]) -> list[Record]:
    # Object ids grow, so their order is that of the databases' lives.
    query = f"""SELECT datname AS name, pg_database_size(oid) AS bytes FROM pg_database
        WHERE starts_with(datname, {literal(store.database + "_")}) ORDER BY oid"""  # noqa: S608
    warm = {store.side(backup) for backup in backups}
    beside = []
    for row in session.rows(query):
        rest = row["name"].removeprefix(store.database)
        if FAILED.fullmatch(rest):
            kind = "failed"
        elif row["name"] in warm:
            kind = "warm"
        elif RESTORED.fullmatch(rest):
            kind = "leftover"
        else:
            continue
        beside.append({**row, "kind": kind})
    return beside
