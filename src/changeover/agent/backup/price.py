"""What going back to a backup costs: rows and bytes of log written since, and what was lost.

Before the swap, rows are counted by the transaction that wrote them: what is left behind is among
those of later transactions than the backup's first unseen one, so this is how many at most. After
the swap both databases are there, and what is left behind is counted row by row. The server's own
counts of writes are told beside them: a row that was written several times is several of those.
"""

# ruff: noqa: S608 - names in statements come quoted from the catalog

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.backup import manifests
from changeover.agent.backup.store import read_sealed, write_sealed
from changeover.agent.postgres import content, large_pages, missing_columns, relations, slots
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from changeover.agent.backup.store import Record, Store
    from changeover.agent.postgres.content import Fingerprints

WRITES = ("inserted", "updated", "deleted")
MOVED = ("left_at_most", "back_at_most")
RESTORED = "restored.json"
LEDGER = "changeover."
CLUSTER = "SELECT system_identifier::text AS id FROM pg_control_system()"
NUMBER = "SELECT oid::bigint AS oid FROM pg_database WHERE datname = current_database()"
LARGE_HASHES = f"SELECT h FROM ({large_pages.HASHES}) x"
LATER_OBJECTS = """
SELECT count(*) AS rows FROM pg_largeobject_metadata m
WHERE {row} OR EXISTS (SELECT FROM pg_largeobject o WHERE o.loid = m.oid AND {page})"""


def note(store: Store, restored: Record) -> None:
    """Note which transactions write rows that a restored database did not have.

    Args:
        store: The app's backups.
        restored: The record of a swap that has happened.
    """
    names = ("backup", "side_oid", "first_transaction")
    if restored.keys() >= set(names):  # an older agent may have begun the swap
        facts = {name: restored[name] for name in names}
        write_sealed(store.root / RESTORED, facts)


def price(store: Store, backup: str) -> Record:
    """Return what was written since a backup's snapshot, before anybody goes back to it.

    Returns:
        ``left_at_most``, the rows inserted or changed since that would be left behind, and
        ``back_at_most``, those deleted or changed since that would come back as they were, both
        ``None`` when the live database is another one than the backup was taken from or was
        restored from it;
        ``wal_bytes`` of log written by the whole server since, less what proving the backup wrote
        (``None`` when this is another cluster);
        ``tables`` that changed, each with ``rows_then``, ``rows_now``, ``left_at_most``,
        ``back_at_most`` and the server's counts of rows ``inserted``, ``updated``, ``deleted``
        (``None`` where it has forgotten them, or has counted in another database);
        ``rows_written``, the sum of those counts, at least the growth in rows;
        ``slots`` of logical replication, which would stay with the database that is left.
    """
    directory = store.present(backup)
    manifest = manifests.load(directory)
    own = (manifests.proof(directory) or {}).get("wal_bytes", 0)
    return priced(store, backup, manifest, own)


def priced(store: Store, backup: str, manifest: Record, own: int) -> Record:
    """Return the same for what a manifest describes, whether or not a backup lies there.

    Args:
        store: The app's backups.
        backup: The backup's id; empty for none.
        manifest: What there was.
        own: Bytes of log that proving it wrote.
    """
    with Session(store.server, store.database) as session:
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        since = _first_transaction(store, session, backup, manifest)
        written = _writes(session, manifest)
        there = relations.columns(session)
        prints = content.Fingerprints(session, manifest.get("hashed", "text"))
        found: Record = {}
        for name in _own(set(relations.tables(session)) | set(manifest["tables"])):
            before = manifest["tables"].get(name)
            table = _table(prints, name, before, there.get(name), written)
            if table.pop("changed"):
                found[name] = table | _moved(session, name, table, since)
        return {
            "backup": backup,
            "since": manifest["started"],
            "wal_bytes": _wal(session, manifest, own),
            "tables": found,
            "slots": slots.found(session, store.database),
            "rows_written": sum(_written(table) for table in found.values()),
            **{kind: _sum(table[kind] for table in found.values()) for kind in MOVED},
        }


def _own(tables: Iterable[str]) -> list[str]:
    """Return the tables without the migration ledger's: it tells of the schema and goes with it."""
    return sorted(name for name in tables if not name.startswith(LEDGER))


def _first_transaction(store: Store, session: Session, backup: str, manifest: Record) -> int | None:
    """Return the first transaction whose rows the backup may lack, if that can be told."""
    cluster, number = session.value(CLUSTER), session.value(NUMBER)
    if cluster != manifest["cluster"]:
        return None
    if number == manifest["settings"]["oid"]:
        first = manifest.get("first_transaction")  # backups of older agents do not say
        return None if first is None else int(first)
    restored = read_sealed(store.root / RESTORED, RESTORED)
    if restored is None or (restored["side_oid"], restored["backup"]) != (number, backup):
        return None
    return int(restored["first_transaction"])


def _writes(session: Session, manifest: Record) -> Record:
    """Return the server's counts, where they are of the database that the backup was taken from.

    What was recovered was counted by the scratch cluster, which counts from its own start.
    """
    if "recovered" in manifest:
        return {}
    here = (session.value(CLUSTER), session.value(NUMBER))
    same = here == (manifest["cluster"], manifest["settings"]["oid"])
    return relations.writes(session) if same else {}


def _moved(session: Session, name: str, table: Record, since: int | None) -> Record:
    """Return how many of a table's rows going back would leave behind, and bring back, at most."""
    then, now = table["rows_then"], table["rows_now"]
    if then is None or now is None:
        return {"left_at_most": now or 0, "back_at_most": then or 0}
    if since is None:
        return dict.fromkeys(MOVED)
    query = (
        LATER_OBJECTS.format(row=_later(since, "m"), page=_later(since, "o"))
        if name == content.LARGE
        else f"SELECT count(*) AS rows FROM {relations.source(name)} AS r WHERE {_later(since, 'r')}"
    )
    left = int(session.value(query))
    return {"left_at_most": left, "back_at_most": max(0, then - (now - left))}


def _later(since: int, row: str) -> str:
    """Return the SQL that tells whether a row is of transaction ``since`` or a later one.

    A row carries the lower half of its transaction's number; what is visible is older than the
    snapshot's end, which is known whole. Numbers below 3 are the server's own.
    """
    number = f"{row}.xmin::text::bigint"
    ago = f"mod(txid_snapshot_xmax(txid_current_snapshot()) - {number}, {1 << 32})"
    return f"({number} > 2 AND {ago} <= txid_snapshot_xmax(txid_current_snapshot()) - {since})"


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(one or 0 for one in known)


def _table(
    prints: Fingerprints,
    name: str,
    before: Record | None,
    columns: list[str] | None,
    written: Record,
) -> Record:
    if name == content.LARGE:
        now = prints.large()
        same = before is not None and before["fingerprint"] == now["fingerprint"]
        return {"rows_then": (before or now)["rows"], "rows_now": now["rows"], "changed": not same}
    if before is None:
        rows = prints.of(name, [])["rows"]
        return {"rows_then": None, "rows_now": rows, "changed": True, "inserted": rows}
    if columns is None:
        return {"rows_then": before["rows"], "rows_now": None, "changed": True}
    kept = [column for column in before["columns"] if column in columns]
    now = prints.of(name, kept)
    added = _without(columns, before["columns"])
    filled = missing_columns.filled(prints.session, name, added)
    same = kept == before["columns"] and now["fingerprint"] == before["fingerprint"]
    return {
        "rows_then": before["rows"],
        "rows_now": now["rows"],
        "changed": not same or bool(filled),
        "filled": filled,
        **_since(before, written.get(name, {})),
    }


def _since(before: Record, now: Record) -> Record:
    """Return the rows written between two counts; none where the server began to count anew."""
    if any(now.get(kind, -1) < before.get(kind, 0) for kind in WRITES):
        return dict.fromkeys(WRITES)
    return {kind: now[kind] - before.get(kind, 0) for kind in WRITES}


def _written(table: Record) -> int:
    counted = sum(table.get(kind) or 0 for kind in WRITES)
    grown: int = abs((table["rows_now"] or 0) - (table["rows_then"] or 0))
    return max(counted, grown)


def _wal(session: Session, manifest: Record, own: int) -> int | None:
    if session.value(CLUSTER) != manifest["cluster"]:
        return None
    since = f"pg_wal_lsn_diff(pg_current_wal_lsn(), {literal(manifest['wal_lsn'])})"
    return max(0, int(session.value(f"SELECT {since}::bigint AS bytes")) - own)


def lost(store: Store, before: str, after: Session) -> Record:
    """Count, table by table, the rows of one database that another does not have.

    A row is the same when all columns that both databases have are; one that was changed counts as
    lost, because its newer values are.

    Args:
        store: The app's backups.
        before: The database that was live, and that nobody writes to any more.
        after: A session in the one that is live now, its snapshot already taken.

    Returns:
        Table name to ``rows_before``, ``rows_after`` and ``lost``, for tables where any differs; with
        ``filled`` where columns that the other does not have hold values: by column, in how many rows.
    """
    with Session(store.server, before) as old:
        old_columns, new_columns = relations.columns(old), relations.columns(after)
        new_tables = set(relations.tables(after))
        found: Record = {}
        for name in _own(relations.tables(old)):
            store.server.say(f"counting the rows of {name} that are left behind")
            both = [one for one in new_columns.get(name, []) if one in old_columns[name]]
            if name not in new_tables or (old_columns[name] and not both):
                rows = content.fingerprint(old, name)["rows"]
                found[name] = {"rows_before": rows, "rows_after": None, "lost": rows}
                continue
            whole = content.fingerprint(old, name, both)
            kept = content.fingerprint(after, name, both)
            filled = missing_columns.filled(old, name, _without(old_columns[name], both))
            if kept != whole:
                hashed, rows = content.row_hash(both), relations.source(name)
                hashes = f"SELECT {hashed} FROM {rows} AS r"
                found[name] = _left(old, after, hashes, whole["rows"], kept["rows"])
            elif filled:
                found[name] = {"rows_before": whole["rows"], "rows_after": kept["rows"], "lost": 0}
            if filled:
                found[name]["filled"] = filled
        objects = old.row(content.LARGE_OBJECTS), after.row(content.LARGE_OBJECTS)
        if objects[0] != objects[1]:
            rows = (one["rows"] for one in objects)
            found[content.LARGE] = _left(old, after, LARGE_HASHES, *rows)
        return found


def _without(names: list[str], others: list[str]) -> list[str]:
    return [name for name in names if name not in others]


def _left(old: Session, new: Session, hashes: str, before: int, after: int) -> Record:
    missing = _missing(_ascending(old, hashes), _ascending(new, hashes))
    return {"rows_before": before, "rows_after": after, "lost": missing}


def _ascending(session: Session, hashes: str) -> Iterator[int]:
    return map(int, session.lines(f"COPY ({hashes} ORDER BY 1) TO STDOUT"))


def _missing(old: Iterator[int], new: Iterator[int]) -> int:
    """Count what of one ascending sequence the other lacks, repetitions included."""
    missing = 0
    candidate = next(new, None)
    for value in old:
        while candidate is not None and candidate < value:
            candidate = next(new, None)
        if candidate == value:
            candidate = next(new, None)
        else:
            missing += 1
    # the session can only be asked again once its answer is read to the end
    for _ in new:
        pass
    return missing
