"""Which backups there are, and which may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.backup import create, leftovers, manifests, side_database
from changeover.agent.backup.store import PARTIAL
from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from changeover.agent.backup.store import Record, Store


def found(store: Store) -> list[Record]:
    """Return every backup's figures, newest first; a damaged one carries its ``damage``."""
    backups = []
    for path in _directories(store):
        try:
            backups.append(create.describe(path, manifests.load(path)))
        except ActionError as error:
            backups.append({"backup": path.name, "damage": error.message, "proved": None})
    return sorted(backups, key=lambda one: one.get("finished", ""), reverse=True)


def due(store: Store, keep: int) -> Record:
    """Return what ``retain`` would remove now: ``backups`` by id, ``databases`` with their rows."""
    gone, stay = _parted(store, keep)
    return {"backups": gone, "databases": leftovers.due(store, stay, max(1, keep))}


def retain(store: Store, keep: int, agreed: Sequence[str]) -> Record:
    """Remove what is older than the ``keep`` newest proved backups, and was agreed to by name.

    What is newer than the newest proved one stays, proved or not: it may be about to be. One that
    was recovered holds an older moment than its age tells, so none goes in its favour. Of the databases
    that restores kept, as many stay; ``databases`` names those that went.
    """
    with store.lock():
        gone, stay = _parted(store, keep)
        gone = [backup for backup in gone if backup in agreed]
        # before the backups: what was kept warm from one of them is among the names, too
        databases = leftovers.retain(store, stay, max(1, keep), agreed)
        freed = sum(_remove(store, store.root / backup) for backup in gone)
        stay = [one["backup"] for one in found(store)]
        return {"dropped": gone, "kept": stay, "freed": freed, "databases": databases}


def _parted(store: Store, keep: int) -> tuple[list[str], list[str]]:
    """Return the ids of the backups that are due to go, and of those that are not."""
    order = [one["backup"] for one in found(store)]
    kept = _proved(store)[: max(1, keep)]
    older = order[order.index(kept[0]) + 1 :] if kept else []
    gone = [backup for backup in older if backup not in kept]
    return gone, [backup for backup in order if backup not in gone]


def _proved(store: Store) -> list[str]:
    return [one["backup"] for one in found(store) if one["proved"] and not one["recovered"]]


def _directories(store: Store) -> list[Path]:
    if not store.root.is_dir():
        return []
    return [
        path
        for path in store.root.iterdir()
        if path.is_dir() and not path.name.startswith(".") and not path.name.endswith(PARTIAL)
    ]


def _remove(store: Store, directory: Path) -> int:
    size = sum(path.lstat().st_size for _, path in manifests.files(directory))
    with Session(store.server, side_database.MAINTENANCE) as session:
        side_database.drop(session, store.side(directory.name))
    durable.remove_tree(directory)
    return size
