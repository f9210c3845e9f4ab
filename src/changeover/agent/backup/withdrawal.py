"""What the backup of a deployment leaves that is taken back: nothing that is of no use to anybody.

A proved backup stays. One that is not proved, or not whole, was made for that deployment alone, and so
were the database of its proof and the clone of its rehearsal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.backup import manifests, rehearsal, swap
from changeover.agent.backup.store import PARTIAL
from changeover.agent.system import durable

if TYPE_CHECKING:
    from changeover.agent.backup.store import Record, Store


def withdraw(store: Store, backup: str) -> Record:
    """Drop a backup's databases beside the live one, and the backup itself unless it is proved.

    While a restore is unfinished nothing goes: what it needs may be among them.

    Args:
        store: The app's backups.
        backup: Which one; it need not be there.

    Returns:
        ``dropped``, the databases; ``removed``, whether the backup went.
    """
    final = store.path(backup)
    if not store.root.is_dir() or swap.read(store) is not None:
        return {"dropped": [], "removed": False, "skipped": True}
    dropped = rehearsal.end(store, backup)["dropped"]
    with store.lock():
        partial = durable.remove_tree(store.root / f"{backup}{PARTIAL}")
        unproved = final.is_dir() and manifests.proof(final) is None
        removed = unproved and durable.remove_tree(final)
    changed = bool(dropped or partial or removed)
    return {"dropped": dropped, "removed": partial or removed, "skipped": not changed}
