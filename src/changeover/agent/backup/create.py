"""Take a backup: one snapshot for the dump, its definition and the fingerprints it must match."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent.backup import manifests
from changeover.agent.backup.store import PARTIAL, give, moment, now
from changeover.agent.failure import ActionError
from changeover.agent.postgres import (
    content,
    extensions,
    properties,
    relations,
    roles,
    subscriptions,
    tools,
)
from changeover.agent.postgres.room import Room
from changeover.agent.postgres.session import Session
from changeover.agent.system import durable

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.backup.store import Record, Store

MOST_JOBS = 4
DUMP = "dump"
SCHEMA = "schema.sql"
FACTS = """
SELECT pg_database_size(current_database()) AS bytes, pg_is_in_recovery() AS standby,
current_setting('server_version') AS version,
(SELECT system_identifier::text FROM pg_control_system()) AS cluster"""
# A restore builds as many of them at a time as it has workers.
LARGEST_INDEXES = f"""
SELECT coalesce(pg_relation_size(oid), 0) AS bytes FROM pg_class WHERE relkind = 'i' AND oid >= 16384
ORDER BY 1 DESC LIMIT {MOST_JOBS}"""  # noqa: S608 - our own number
# Rows that the snapshot does not hold are of this transaction or a later one.
MOMENT = """
SELECT pg_current_wal_lsn()::text AS wal_lsn,
txid_snapshot_xmin(txid_current_snapshot()) AS first_transaction"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the controller wants backed up and says about it.

    Args:
        backup: The new backup's id.
        release: Version that is live.
        colour: Its colour.
        schema_version: Where the migration ledger stands.
        expects: Attachments without which the backup does not count.
        jobs: Parallel workers; as many as there are processors, up to four, by default.
        recovered: What moment the database was recovered to, where it is no live one.
    """

    backup: str
    release: str
    colour: str
    schema_version: str
    expects: tuple[str, ...] = ()
    jobs: int = 0
    recovered: Record | None = None


def create(store: Store, wish: Wish) -> Record:
    """Dump the live database into a new sealed backup and return its figures.

    A backup that is there under this id is left as it is and described.

    Raises:
        ActionError: ``disk-too-small``, ``tool-older``, ``standby``, ``database-unknown`` before
            anything is written; ``tool-failed`` with the dump's own words.
    """
    with store.lock():
        final = store.path(wish.backup)
        if final.is_dir():
            return describe(final, manifests.load(final)) | {"skipped": True}
        for leftover in store.root.glob(f"*{PARTIAL}"):
            durable.remove_tree(leftover)
        partial = store.root / f"{wish.backup}{PARTIAL}"
        try:
            with Session(store.server, store.database) as session:
                manifest = _dump(store, session, wish, partial)
            if wish.recovered:
                manifest |= as_of(wish.recovered)
            manifest["finished"] = moment()
            manifest = manifests.seal(partial, manifest)
        except BaseException:
            durable.remove_tree(partial)
            raise
        partial.rename(final)
        durable.sync_directory(store.root)
        return describe(final, manifest) | {"skipped": False}


def describe(path: Path, manifest: Record) -> Record:
    """Return a backup's figures: bytes, rows, tables, times, and whether it is proved."""
    kept = ("app", "release", "colour", "schema_version", "database", "started", "finished")
    return {key: manifest[key] for key in kept} | {
        "backup": path.name,
        "bytes": sum(facts["bytes"] for facts in manifest["members"].values()),
        "database_bytes": manifest["database_bytes"],
        "tables": len(manifest["tables"]) - 1,
        "rows": sum(table["rows"] for table in manifest["tables"].values()),
        "seconds": manifest["seconds"],
        "attachments": sorted(manifests.attached(path)),
        "proved": manifests.proof(path),
        "recovered": manifest.get("recovered"),
    }


def observed(session: Session, database: str) -> Record:
    """Return what a manifest says of a database, without a dump of it."""
    facts = session.row(FACTS)
    _snapshot(session)
    return {"cluster": facts["cluster"]} | session.row(MOMENT) | _content(session, database)


def as_of(recovered: Record) -> Record:
    """Return what a manifest says of a recovered database in place of what it would of a live one."""
    first = {"first_transaction": recovered["first_transaction"]}
    return {"recovered": recovered, "started": recovered["at"], **first}


def definition(store: Store) -> str:
    """Return the definition of everything in a store's database, read by the dump's own program."""
    program = store.server.program("pg_dump")
    with Session(store.server, store.database) as session:
        major = session.major
    return content.schema(store.server, program, store.database, major=major)


def jobs_for(wanted: int) -> str:
    """Return how many workers to use."""
    return str(max(1, wanted or min(MOST_JOBS, os.cpu_count() or 1)))


def _dump(store: Store, session: Session, wish: Wish, partial: Path) -> Record:
    facts = session.row(FACTS)
    if facts["standby"]:
        raise ActionError("standby", "this server is a standby: a backup is taken on the primary")
    program, version = _tool(store, session, facts["version"])
    room = Room(session, store.root)
    room.ask(facts["bytes"], "the dump")
    partial.mkdir(mode=0o700)
    give(partial, 0o700, owner=tools.SYSTEM_USER)
    manifest: Record = {
        "app": store.app,
        "release": wish.release,
        "colour": wish.colour,
        "schema_version": wish.schema_version,
        "expects": sorted(wish.expects),
        "database": store.database,
        "database_bytes": facts["bytes"],
        "largest_indexes": [row["bytes"] for row in session.rows(LARGEST_INDEXES)],
        "server_version": facts["version"],
        "cluster": facts["cluster"],
        "tool_version": version,
        "started": now(),
    }
    snapshot = _snapshot(session)
    manifest |= session.row(MOMENT)
    # Positions obey no snapshot: read before the dump begins, they are at most what it holds.
    manifest["sequences"] = content.sequences(session)
    common = (f"--snapshot={snapshot}", "--lock-wait-timeout=30000", "--no-password")
    begun = time.monotonic()
    command = [
        *(program, "--format=directory", f"--jobs={jobs_for(wish.jobs)}", "--compress=1"),
        *(f"--file={partial / DUMP}", *common, subscriptions.WITHOUT),
        # what a client or this database asks for by default may not hold every character of it
        *(f"--encoding={session.encoding}", "-d", store.database),
    ]
    with tools.Running(store.server, command, major=session.major) as dump:
        held = _content(session, store.database)
        read = time.monotonic() - begun
        dump.wait(watch=lambda: room.watch("a dump"))
    dumped = time.monotonic() - begun
    definition = content.schema(
        store.server, program, store.database, *common[:1], major=session.major
    )
    durable.write(partial / SCHEMA, definition.encode(errors="surrogateescape"))
    seconds = {"dump": round(dumped, 2), "fingerprints": round(read, 2)}
    return manifest | held | {"seconds": seconds}


def _tool(store: Store, session: Session, server: str) -> tuple[Path, str]:
    program = store.server.program("pg_dump", session.major)
    version = tools.tool_version(store.server, program)
    if int(version.split(".")[0]) < session.major:
        message = f"pg_dump {version} is older than the server's version {server}"
        raise ActionError("tool-older", message)
    return program, version


def _snapshot(session: Session) -> str:
    """Begin a transaction that holds every table as it is, and export what it sees.

    TRUNCATE and rewrites do not obey snapshots. The locks keep them out from before the snapshot.
    """
    tables = ", ".join(relations.source(name) for name in relations.tables(session))
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    if tables:
        session.run(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")
    return str(session.value("SELECT pg_export_snapshot() AS snapshot"))


def _content(session: Session, database: str) -> dict[str, Any]:
    written = relations.writes(session)
    columns = relations.columns(session)
    theirs = extensions.tables(session)
    tables = {
        name: table | written.get(name, {}) | {"columns": columns.get(name, [])}
        for name, table in content.fingerprints(session).items()
    }
    for name in tables.keys() & theirs.keys():
        tables[name]["extension"] = theirs[name]
    return {
        "extensions": extensions.versions(session),
        "hashed": "value",
        "counted_from": content.counted_from(session),
        "tables": tables,
        "roles": roles.named(session),
        "settings": properties.read(session, database),
        "subscriptions": subscriptions.found(session, database),
    }
