"""A clone of a proved backup, on which migrations are tried before the live database meets them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from changeover.agent.backup import manifests, side_database
from changeover.agent.failure import ActionError
from changeover.agent.postgres import content, definition_secrets, isolation, properties, relations
from changeover.agent.postgres.room import Room
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import identifier

if TYPE_CHECKING:
    from changeover.agent.backup.store import Record, Store

PURPOSE = "rehearsal"
LEDGER = "changeover"
# A copy through the write-ahead log is quicker for small databases and needs no checkpoint; a large one
# would send all its pages to standbys and archives. The choice exists since PostgreSQL 15.
STRATEGIES_SINCE = 15
COPY_FILES_FROM_BYTES = 256 << 20


def begin(store: Store, backup: str, *, jobs: int = 0) -> Record:
    """Make the clone: of the database that the backup's proof left, else of one restored now.

    Args:
        store: The app's backups.
        backup: Which one.
        jobs: Parallel workers of a restore.

    Returns:
        ``database``, the clone's name; ``restored``, whether the backup had to be restored for it;
        ``seconds``.

    Raises:
        ActionError: ``disk-too-small``; as of a verification where it has to be restored.
    """
    begun = time.monotonic()
    with store.lock(), Session(store.server, side_database.MAINTENANCE) as session:
        directory = store.present(backup)
        manifest = manifests.check(directory)
        _sweep(store, session)
        side = store.side(backup)
        restored = properties.read(session, side) is None
        if restored:
            side_database.restore(store, session, directory, manifest, side, jobs)
        clone, size = store.side(backup, PURPOSE), int(manifest["database_bytes"])
        side_database.drop(session, clone)
        settings = manifest["settings"] | {"tablespace": None}  # that of what it is copied from
        made = properties.read(session, side) or {}
        room = Room(session, properties.tablespace(session, side, made)["place"])
        room.ask(size, "the rehearsal's clone")
        copy = f"{_copy(session, side, clone, size)};\n"
        try:
            session.run(copy, lambda: room.watch("the rehearsal's clone"))
        except BaseException:
            side_database.discard(store, clone)
            raise
        session.run(properties.carry(clone, settings))
    with Session(store.server, clone) as inside:
        # The planner has to know the clone as it knows the live database.
        inside.run("ANALYZE")
        isolation.isolate(inside)
    seconds = round(time.monotonic() - begun, 2)
    return {"database": clone, "restored": restored, "seconds": seconds}


def look(store: Store, backup: str) -> Record:
    """Return the clone's ``schema`` as SQL, its ``tables`` with rows and fingerprints, and its ``sequences``.

    The ledger is left out.

    Raises:
        ActionError: ``rehearsal-gone`` when there is no clone.
    """
    clone = store.side(backup, PURPOSE)
    with Session(store.server, side_database.MAINTENANCE) as session:
        if properties.read(session, clone) is None:
            raise ActionError("rehearsal-gone", f"the rehearsal's clone of {backup} is gone")
        major = session.major
    program = store.server.program("pg_dump", major)
    schema = content.schema(store.server, program, clone, f"--exclude-schema={LEDGER}", major=major)
    with Session(store.server, clone) as inside:
        tables, sequences = _contents(inside), content.sequences(inside)
    shown = definition_secrets.shown(store.root, schema)
    return {"schema": shown, "tables": _own(tables), "sequences": _own(sequences)}


def _own(found: Record) -> Record:
    return {name: each for name, each in found.items() if not name.startswith(f"{LEDGER}.")}


def live_schema(store: Store) -> Record:
    """Return the live database's ``schema`` as SQL, without the ledger."""
    with Session(store.server, side_database.MAINTENANCE) as session:
        major = session.major
    program = store.server.program("pg_dump", major)
    option = f"--exclude-schema={LEDGER}"
    schema = content.schema(store.server, program, store.database, option, major=major)
    return {"schema": definition_secrets.shown(store.root, schema)}


def _contents(session: Session) -> Record:
    """Return rows and fingerprint of every table, wherever its columns stand in it.

    A column that was dropped and added again is the table's last one.
    """
    named = relations.columns(session)
    return {
        table: content.fingerprint(session, table, sorted(named.get(table, [])))
        for table in relations.tables(session)
    } | {content.LARGE: session.row(content.LARGE_OBJECTS)}


def end(store: Store, backup: str, *, keep: bool = False) -> Record:
    """Drop the clone, and the databases of the backup's proof unless they are to be kept; return what went."""
    proofs = () if keep else (store.side(backup), store.side(backup, side_database.SCRATCH))
    with store.lock(), Session(store.server, side_database.MAINTENANCE) as session:
        dropped = _sweep(store, session)
        for name in proofs:
            if properties.read(session, name) is not None:
                dropped.append(name)
            # One that is being made by a run that is gone is not there yet.
            side_database.drop(session, name)
    return {"dropped": dropped}


def _copy(session: Session, side: str, clone: str, size: int) -> str:
    words = f"CREATE DATABASE {identifier(clone)} TEMPLATE {identifier(side)}"
    if session.major < STRATEGIES_SINCE:
        return words
    return f"{words} STRATEGY {'file_copy' if size >= COPY_FILES_FROM_BYTES else 'wal_log'}"


def _sweep(store: Store, session: Session) -> list[str]:
    """Drop every clone of this app: one that is there now was left by a rehearsal that was cut off."""
    found = session.rows("SELECT datname AS name FROM pg_database ORDER BY 1")
    names = [str(row["name"]) for row in found if store.beside(str(row["name"]), PURPOSE)]
    for name in names:
        side_database.drop(session, name)
    return names
