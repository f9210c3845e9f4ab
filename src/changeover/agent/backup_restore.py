"""Go back to a backup: beside the live database first, then in its place, and say what it cost."""

# ruff: noqa: S608 - names in statements are quoted

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from changeover.agent import (
    backup_content,
    backup_manifest,
    backup_price,
    backup_settings,
    backup_side,
    backup_store,
    backup_subscriptions,
    backup_swap,
)
from changeover.agent.failure import ActionError
from changeover.agent.postgres_session import Session
from changeover.agent.postgres_tools import literal

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.backup_store import Record, Store


def restore(store: Store, backup: str, deployment: str, *, jobs: int = 0) -> Record:
    """Make a backup the live database, and keep the one that was live under another name.

    Nothing live is touched before the restored database was held against the backup. A run that
    was interrupted is finished first; when it was this one's, that is all there is to do.

    Args:
        store: The app's backups.
        backup: Which one.
        deployment: What this is part of; a re-run has the same.
        jobs: Parallel workers.

    Returns:
        ``kept``, the name of the database that was live; ``refused_seconds``, for how long
        connections were refused; ``lost`` by table and ``rows_lost``; ``warm``, ``resumed``.

    Raises:
        ActionError: As of a verification, with nothing touched; ``prepared-transactions``;
            ``settings-differ``; ``swap-failed``.
    """
    with store.lock() as lock, Session(store.server, backup_side.MAINTENANCE) as session:
        directory = store.present(backup)
        done = _unfinished(store, session, lock)
        manifest = backup_manifest.check(directory)
        if done and done["backup"] == backup and _is_it(store, done, deployment, manifest):
            return _conclude(store, session, done) | {"resumed": True}
        backup_swap.conclude(store)
        record = _prepare(store, session, directory, manifest, jobs)
        backup_swap.begin(store, record | {"deployment": deployment})
        refused = backup_swap.swap(store, session, record, lock)
        record["refused_seconds"] = round(refused, 3)
        return _conclude(store, session, record) | {"resumed": False}


def _unfinished(store: Store, session: Session, lock: int) -> Record | None:
    """Finish an interrupted swap; return its record when the restored database is live by it."""
    record = backup_swap.read(store)
    if record is None or not backup_swap.finish(store, session, record, lock):
        return None
    return record


def _is_it(store: Store, done: Record, deployment: str, manifest: Record) -> bool:
    """Tell whether a finished swap is what is asked for now, and not an old one of that backup."""
    if done["deployment"] == deployment:
        return True
    with Session(store.server, store.database) as session:
        try:
            backup_content.compare(session, manifest)
        except ActionError:
            return False
        return True


def _prepare(
    store: Store, session: Session, directory: Path, manifest: Record, jobs: int
) -> Record:
    live = backup_settings.read(session, store.database)
    _refuse_prepared(store, session)
    side = store.side(directory.name)
    warm = _is_warm(store, session, directory, manifest, side)
    if not warm:
        backup_side.readable(store, session, directory)
        backup_side.restore(store, session, directory, manifest, side, jobs)
    with Session(store.server, side) as inside:
        inside.run("ANALYZE")
    properties = live or manifest["settings"]
    own = backup_settings.read(session, side)
    cleared = backup_settings.clear(side, own) if own else ""
    session.run(cleared + backup_settings.carry(side, properties))
    carried = backup_settings.read(session, side)
    if carried is None or not backup_settings.same(carried, properties):
        raise ActionError("settings-differ", f"owner, grants or settings of {side} differ")
    # nobody but the restore has written there, and who writes once it is live does so later
    later = "SELECT txid_snapshot_xmax(txid_current_snapshot()) AS first_transaction"
    return {
        "backup": directory.name,
        "at": backup_store.now(),
        "live": store.database,
        "live_oid": live["oid"] if live else None,
        "side": side,
        "side_oid": carried["oid"],
        "failed": _name_to_keep(store, session),
        "warm": warm,
        **session.row(later),
    }


def _name_to_keep(store: Store, session: Session) -> str:
    """Return the name under which the live database is kept: by the second, the next one where that is taken."""
    moment = time.time()
    while True:
        name = store.side(time.strftime("%Y%m%d%H%M%S", time.gmtime(moment)), "failed")
        if backup_swap.oid(session, name) is None:
            return name
        moment += 1


def _refuse_prepared(store: Store, session: Session) -> None:
    where = f"WHERE database = {literal(store.database)}"
    found = session.rows(f"SELECT gid FROM pg_prepared_xacts {where}")
    if found:
        names = ", ".join(row["gid"] for row in found)
        message = f"{store.database} has prepared transactions that would block the exchange"
        raise ActionError("prepared-transactions", message, cause=names)


def _is_warm(store: Store, session: Session, directory: Path, manifest: Record, side: str) -> bool:
    """Tell whether the side database is there and still is what the backup holds."""
    if backup_swap.oid(session, side) is None:
        return False
    try:
        backup_side.check(store, session, directory, manifest, side)
    except ActionError:
        return False
    return True


def _conclude(store: Store, session: Session, record: Record) -> Record:
    """Count what was left behind, note since when rows are new, and forget the swap."""
    kept = backup_swap.name_of(session, record["live_oid"])
    with Session(store.server, store.database) as live:
        live.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        live.run("SELECT 1")
        lost = backup_price.lost(store, kept, live) if kept else {}
    backup_price.note(store, record)
    backup_swap.conclude(store)
    return {
        "backup": record["backup"],
        "kept": kept,
        "warm": record["warm"],
        "refused_seconds": record.get("refused_seconds"),
        "lost": lost,
        "rows_lost": sum(table["lost"] for table in lost.values()),
        "subscriptions": [one["name"] for one in backup_subscriptions.found(session, kept)],
    }
