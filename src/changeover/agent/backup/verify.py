"""Prove a backup: read every byte of it, restore it beside the live database, compare."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from changeover.agent.backup import manifests, side_database
from changeover.agent.backup.store import now, write_sealed
from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import literal

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.backup.store import Record, Store

# What these say is about the backup; a full disk or a lost session says nothing of it.
DISPROVED = {"backup-damaged", "backup-differs", "roles-missing"}
# A restore can also fail for what goes on around it: at the server, or with the restoring program.
AROUND = re.compile(
    "closed the connection|connection to server|terminating connection|database system is"
    "|crash of another|canceling statement|died unexpectedly|out of memory|out of shared memory"
    "|too many|could not (?:extend|write|fsync|fork)|lock timeout|deadlock"
)


def verify(store: Store, backup: str, *, keep: bool = False, jobs: int = 0) -> Record:
    """Prove a backup by restoring it, and record the proof beside it.

    Args:
        store: The app's backups.
        backup: Which one.
        keep: Leave the restored database there, for a restore that does not have to wait for it.
        jobs: Parallel workers.

    Raises:
        ActionError: ``backup-damaged`` naming the member, ``restore-failed``, ``backup-differs``
            naming the table. One that is damaged, differs or cannot be restored loses the proof it
            had; a fault around it, such as a lost session, takes no proof.
    """
    with store.lock():
        directory = store.present(backup)
        before = manifests.proof(directory)
        try:
            record = _restored(store, directory, keep=keep, jobs=jobs)
        except ActionError as error:
            if _disproves(error):
                (directory / manifests.PROOF).unlink(missing_ok=True)
            raise
        record["wal_bytes"] += (before or {}).get("wal_bytes", 0)
        write_sealed(directory / manifests.PROOF, record)
        return record


def _disproves(error: ActionError) -> bool:
    if error.error == "restore-failed":
        cause = error.cause or ""  # whoever is killed says nothing
        return bool(cause) and not AROUND.search(cause)
    return error.error in DISPROVED


def _restored(store: Store, directory: Path, *, keep: bool, jobs: int) -> Record:
    begun = time.monotonic()
    manifest = manifests.check(directory)
    read = time.monotonic() - begun
    side = store.side(directory.name)
    with Session(store.server, side_database.MAINTENANCE) as session:
        side_database.readable(store, session, directory)
        lsn = str(session.value("SELECT pg_current_wal_lsn()::text AS lsn"))
        kept = False
        try:
            made = side_database.restore(store, session, directory, manifest, side, jobs)
            kept = keep
        finally:
            if not kept:
                side_database.drop(session, side)
        written = f"pg_wal_lsn_diff(pg_current_wal_lsn(), {literal(lsn)})::bigint"
        own = int(session.value(f"SELECT {written} AS bytes"))
    return {
        "at": now(),
        "backup": directory.name,
        "digest": manifests.digest(directory),
        "rows": sum(table["rows"] for table in manifest["tables"].values()),
        "tables": len(manifest["tables"]) - 1,
        "kept": side if keep else None,
        "wal_bytes": own,
        "seconds": {"read": round(read, 2)} | made["seconds"],
        "extensions": made["extensions"],
    }
