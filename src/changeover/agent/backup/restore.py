"""Go back to a backup: beside the live database first, then in its place, and say what it cost."""

# ruff: noqa: S608 - names in statements are quoted

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from changeover.agent.backup import create, gate, manifests, price, side_database, swap
from changeover.agent.backup.store import now
from changeover.agent.failure import ActionError
from changeover.agent.postgres import content, properties, slots, subscriptions
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import literal

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.backup.store import Record, Store


def restore(store: Store, backup: str, deployment: str, *, jobs: int = 0) -> Record:
    """Make a backup the live database, and keep the one that was live under another name.

    Nothing live is touched before the restored database was held against the backup. A restore that
    was cut off is finished first, by whatever deployment it was begun. Where it was to the same backup,
    that is all: users may have written since, and a second exchange would leave their rows behind.
    It counts as cut off until ``told`` says that its answer was heard.

    Args:
        store: The app's backups.
        backup: Which one.
        deployment: What this is part of.
        jobs: Parallel workers.

    Returns:
        ``kept``, the name of the database that was live; ``refused_seconds``, for how long
        connections were refused, where that was seen; ``lost`` by table and ``rows_lost``, both
        ``None`` where they could not be counted, with ``uncounted``, why; ``slots`` of logical
        replication that stay with the kept database; ``warm``, ``resumed``, ``at`` when it was begun;
        ``earlier``, the same of a restore to another backup that was finished first.

    Raises:
        ActionError: As of a verification, with nothing touched; ``prepared-transactions``;
            ``settings-differ``; ``swap-failed``; ``swap-unknown``; ``restored-before``.
    """
    with store.lock() as lock:
        directory = store.present(backup)
        with Session(store.server, side_database.MAINTENANCE) as session:
            done = _unfinished(store, session, lock)
            if done and done["backup"] == backup:
                return _finished(store, session, directory, done)
            earlier = _answer(store, done) if done else None
            swap.conclude(store)
            manifest = manifests.check(directory)
            record = _prepare(store, session, directory, manifest, jobs)
            record["deployment"] = deployment
            swap.begin(store, record)
            refused = swap.swap(store, session, record, lock)
        record["refused_seconds"] = None if refused is None else round(refused, 3)
        return _answer(store, record) | {"resumed": False, "earlier": earlier}


def told(store: Store, backup: str) -> Record:
    """Forget a restore whose answer a person or a journal was told; a re-run is a new one then.

    Args:
        store: The app's backups.
        backup: To which backup it was; another one is left.
    """
    with store.lock(), Session(store.server, side_database.MAINTENANCE) as session:
        record = swap.read(store)
        over = record is not None and record["backup"] == backup
        if over and swap.swapped(session, record or {}):
            swap.conclude(store)
    return {"backup": backup, "forgotten": over}


def _unfinished(store: Store, session: Session, lock: int) -> Record | None:
    """Finish an interrupted swap; return its record when the restored database is live by it."""
    record = swap.read(store)
    if record is None or not swap.finish(store, session, record, lock):
        return None
    return record


def _finished(store: Store, session: Session, directory: Path, done: Record) -> Record:
    """Finish a restore to this backup whose databases were exchanged, and exchange nothing again.

    Raises:
        ActionError: ``restored-before`` where the definitions are others than the backup's by now:
            whoever asks for the backup does not get what he asks for. It is finished all the same.
    """
    same = _as_defined(store, session, directory)
    answer = _answer(store, done)
    if same:
        return answer | {"resumed": True, "earlier": None}
    swap.conclude(store)
    count = "uncounted" if answer["lost"] is None else f"{answer['rows_lost']}"
    message = (
        f"{done['backup']} was made live at {done['at']} by a restore that was cut off, which is"
        f" finished now (rows left behind: {count}, kept in {answer['kept']}); the definitions of"
        f" {store.database} were changed since, so it is not what the backup holds any more"
    )
    raise ActionError("restored-before", message)


def _as_defined(store: Store, session: Session, directory: Path) -> bool:
    """Tell whether the live database has the definitions of a backup."""
    try:
        manifest = manifests.check(directory)
    except ActionError:
        return True  # it was whole when it was restored, and there is nothing else to hold against
    wanted = (directory / create.SCHEMA).read_text("utf-8", "surrogateescape")
    program = store.server.program("pg_dump", session.major)
    found = content.schema(store.server, program, store.database, major=session.major)
    if found == wanted:
        return True
    scratch = store.side(directory.name, side_database.SCRATCH)
    return found == side_database.settled(store, session, wanted, scratch, manifest["settings"])


def _prepare(
    store: Store, session: Session, directory: Path, manifest: Record, jobs: int
) -> Record:
    live = properties.read(session, store.database)
    _refuse_prepared(store, session)
    side = store.side(directory.name)
    warm = _is_warm(store, session, directory, manifest, side)
    if not warm:
        side_database.readable(store, session, directory)
        side_database.restore(store, session, directory, manifest, side, jobs)
    with Session(store.server, side) as inside:
        inside.run("ANALYZE")
    expected = live or manifest["settings"]
    own = properties.read(session, side)
    cleared = properties.clear(side, own) if own else ""
    session.run(cleared + properties.carry(side, expected))
    carried = properties.read(session, side)
    if carried is None or not properties.same(carried, expected):
        raise ActionError("settings-differ", f"owner, grants or settings of {side} differ")
    # nobody but the restore has written there, and who writes once it is live does so later
    later = "SELECT txid_snapshot_xmax(txid_current_snapshot()) AS first_transaction"
    return {
        "backup": directory.name,
        "at": now(),
        "live": store.database,
        "live_oid": live["oid"] if live else None,
        "side": side,
        "side_oid": carried["oid"],
        "failed": _name_to_keep(store, session),
        "warm": warm,
        "slots": slots.found(session, store.database),
        **session.row(later),
    }


def _name_to_keep(store: Store, session: Session) -> str:
    """Return the name under which the live database is kept: by the second, the next one where that is taken."""
    moment = time.time()
    while True:
        name = store.side(time.strftime("%Y%m%d%H%M%S", time.gmtime(moment)), "failed")
        if swap.oid(session, name) is None:
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
    if swap.oid(session, side) is None:
        return False
    try:
        side_database.check(store, session, directory, manifest, side)
    except ActionError:
        return False
    return True


def _answer(store: Store, record: Record) -> Record:
    """Count what was left behind, and note since when rows are new.

    The restored database is live by now: where rows cannot be counted, that is told, and is no
    failure of the restore.
    """
    kept, lost, uncounted = record["failed"] if record["live_oid"] else None, None, ""
    subscribed: list[str] = []
    try:
        with gate.entered(store) as session:
            kept = swap.name_of(session, record["live_oid"])
            subscribed = [one["name"] for one in subscriptions.found(session, kept)]
        lost = _lost(store, kept) if kept else {}
    except (ActionError, ValueError) as error:
        uncounted = getattr(error, "cause", None) or str(error)
    price.note(store, record)
    store.server.say("the restored database is live, and what it leaves behind is known")
    return {
        "backup": record["backup"],
        "at": record["at"],
        "kept": kept,
        "warm": record["warm"],
        "refused_seconds": record.get("refused_seconds"),
        "lost": lost,
        "rows_lost": None if lost is None else sum(table["lost"] for table in lost.values()),
        "uncounted": uncounted,
        "subscriptions": subscribed,
        "slots": record.get("slots", []),
    }


def _lost(store: Store, kept: str) -> Record:
    with Session(store.server, store.database) as live:
        live.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        live.run("SELECT 1")
        return price.lost(store, kept, live)
