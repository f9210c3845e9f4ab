"""What was written since a backup, by the server's own counts: no table of the app's is read.

A price reads whole tables, which is for the moment before going back. This is for looking often, on
large databases: it asks the catalog and the statistics alone, takes no lock on any table, and so
waits for nobody. What it gives are writes. A row that was written several times is several of them,
and so is one whose transaction was rolled back; large objects are not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.backup import manifests
from changeover.agent.backup.price import LEDGER, WRITES
from changeover.agent.postgres import content, relations
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from changeover.agent.backup.store import Record, Store

FACTS = """
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
(SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS oid,
greatest(0, extract(epoch FROM clock_timestamp() - {since}::timestamptz))::float8 AS seconds,
pg_wal_lsn_diff(pg_current_wal_lsn(), {lsn})::bigint AS wal_bytes,
counted_from, coalesce(nullif(counted_from, '')::timestamptz > {since}::timestamptz, false) AS reset
FROM ({counted_from}) AS c"""
COUNTS = f"""
SELECT t.name, t.oid, w.inserted, w.updated, w.deleted
FROM ({relations.TABLES}) AS t JOIN ({relations.WRITES}) AS w ON w.name = t.name"""  # noqa: S608 - our own query


def estimate(store: Store, backup: str) -> Record:
    """Return what was written since a backup's snapshot, as far as the server has counted it.

    Returns:
        ``since``, the snapshot's moment, and ``seconds``, how long ago that is by the host's clock;
        ``wal_bytes`` of log written by the whole server since, less what proving the backup wrote
        (``None`` when this is another cluster);
        ``uncounted``, why the server's counts tell nothing: ``another-cluster``, ``another-database``
        (it was restored or exchanged since), ``recovered`` (the backup is of no live database) or
        ``counts-reset``; empty where they do;
        ``rows_written``, inserts and updates since, and ``rows_deleted``, both ``None`` where they do not;
        ``tables`` that were written, each with rows ``inserted``, ``updated`` and ``deleted``, and
        ``is``: ``there``, ``new`` or ``gone`` since.
    """
    directory = store.present(backup)
    manifest = manifests.load(directory)
    own = (manifests.proof(directory) or {}).get("wal_bytes", 0)
    with Session(store.server, store.database) as session:
        facts = session.row(
            FACTS.format(
                since=literal(manifest["started"]),
                lsn=literal(manifest["wal_lsn"]),
                counted_from=content.COUNTED_FROM,
            )
        )
        uncounted = _uncounted(manifest, facts)
        tables = {} if uncounted else _tables(manifest, session.rows(COUNTS))
    there = list(tables.values())
    same = facts["cluster"] == manifest["cluster"]
    return {
        "backup": backup,
        "since": manifest["started"],
        "seconds": round(facts["seconds"], 1),
        "wal_bytes": max(0, int(facts["wal_bytes"]) - own) if same else None,
        "uncounted": uncounted,
        "rows_written": None if uncounted else _sum(there, "inserted", "updated"),
        "rows_deleted": None if uncounted else _sum(there, "deleted"),
        "tables": tables,
    }


def _uncounted(manifest: Record, facts: Record) -> str:
    if facts["cluster"] != manifest["cluster"]:
        return "another-cluster"
    if "recovered" in manifest:
        return "recovered"
    if facts["oid"] != manifest["settings"]["oid"]:
        return "another-database"
    # Backups of older agents do not say since when the server counted.
    noted = manifest.get("counted_from")
    reset = facts["reset"] if noted is None else facts["counted_from"] != noted
    return "counts-reset" if reset else ""


def _tables(manifest: Record, rows: Iterable[Record]) -> Record:
    """Hold the counts of tables against what they were; one is the same by its number, if that was noted."""
    before = {
        facts.get("oid", name): (name, facts)
        for name, facts in manifest["tables"].items()
        if name != content.LARGE
    }
    found: Record = {}
    for row in rows:
        known = before.pop(row["oid"], None) or before.pop(row["name"], None)
        found[row["name"]] = _since(known[1] if known else None, row)
    for name, facts in before.values():
        again = found.setdefault(name, dict.fromkeys(WRITES, 0) | {"is": "gone"})
        again["deleted"] += facts["rows"]
    return {
        name: table
        for name, table in sorted(found.items())
        if not name.startswith(LEDGER) and any(table[kind] for kind in WRITES)
    }


def _since(before: Record | None, now: Record) -> Record:
    """Return the writes of a table since; one that has fewer than it had was made anew."""
    counts = {kind: now[kind] for kind in WRITES}
    if before is None:
        return counts | {"is": "new"}
    if any(now[kind] < before.get(kind, 0) for kind in WRITES):
        return counts | {"deleted": now["deleted"] + before["rows"], "is": "new"}
    return {kind: now[kind] - before.get(kind, 0) for kind in WRITES} | {"is": "there"}


def _sum(tables: Iterable[Record], *kinds: str) -> int:
    return sum(table[kind] for table in tables for kind in kinds)
