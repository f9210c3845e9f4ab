"""Prove a backup: read every byte of it, restore it beside the live database, compare."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from changeover.agent import backup_manifest, backup_side, backup_store
from changeover.agent.postgres_session import Session

if TYPE_CHECKING:
    from changeover.agent.backup_store import Record, Store


def verify(store: Store, backup: str, *, keep: bool = False, jobs: int = 0) -> Record:
    """Prove a backup by restoring it, and record the proof beside it.

    Args:
        store: The app's backups.
        backup: Which one.
        keep: Leave the restored database there, for a restore that does not have to wait for it.
        jobs: Parallel workers.

    Raises:
        ActionError: ``backup-damaged`` naming the member, ``restore-failed``, ``backup-differs``
            naming the table; the backup is then unproved, whatever it was before.
    """
    with store.lock():
        directory = store.present(backup)
        begun = time.monotonic()
        try:
            manifest = backup_manifest.check(directory)
            read = time.monotonic() - begun
            with Session(store.server, backup_side.MAINTENANCE) as session:
                backup_side.readable(store, session, directory)
                side = store.side(backup)
                kept = False
                try:
                    seconds = backup_side.restore(store, session, directory, manifest, side, jobs)
                    kept = keep
                finally:
                    if not kept:
                        backup_side.drop(session, side)
        except BaseException:
            (directory / backup_manifest.PROOF).unlink(missing_ok=True)
            raise
        proof = {
            "at": backup_store.now(),
            "backup": backup,
            "digest": backup_manifest.digest(directory),
            "rows": sum(table["rows"] for table in manifest["tables"].values()),
            "tables": len(manifest["tables"]) - 1,
            "kept": side if keep else None,
            "seconds": {"read": round(read, 2)} | seconds,
        }
        backup_store.write_sealed(directory / backup_manifest.PROOF, proof)
        return proof
