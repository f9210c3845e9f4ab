"""What a database holds, in a form that two databases can be compared by.

A table's fingerprint is its row count and the sum of a 64-bit hash over every row. The sum is exact:
it does not depend on the order of rows and, unlike an exclusive or, sees rows that come in pairs.
Two tables that are not the same have the same one by chance once in 2^64.

A row's hash is mixed from one of each value, each with a seed of its column's own, by its name. So NULL is not an
empty string, and a value that moves to the next column, or into another row, changes the sum. Every
value is hashed in the quickest way that tells all its bits: a whole number as the seed of another
hash, because the server's hash of it folds 64 bits to 32; a date as it would be sent to a client that
asks for binary; everything else by its text, which a dump brings back, while the number of an enum's
value is another one after a restore. That takes about half the time of hashing the text of the row.

Values of types that are not the server's own are read inside a record: a cast to text may be the
app's own function, and it would run as a superuser.

Sequences do not obey snapshots, so a restored one only has to be at least as far.
"""

# ruff: noqa: S608 - names in statements come quoted from the catalog

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError
from changeover.agent.postgres import extensions, large_pages
from changeover.agent.postgres.relations import NAMED, columns, source, tables
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.subscriptions import WITHOUT
from changeover.agent.postgres.tools import Server, identifier, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from changeover.agent.postgres.session import Record

HASHES = f"""
SELECT {NAMED} AS name, json_object_agg(a.attname, format('coalesce(' || CASE
WHEN t.typnamespace <> 'pg_catalog'::regnamespace THEN 'hashtextextended(ROW(r.%1$I)::text COLLATE "C", %3$L)'
WHEN t.typname IN ('int2', 'int4', 'int8', 'oid') THEN 'hashint8extended(%3$L, r.%1$I::bigint)'
WHEN t.typname = 'bool' THEN 'hashint8extended(%3$L, r.%1$I::int)'
WHEN t.typname = 'uuid' THEN 'uuid_hash_extended(r.%1$I, %3$L)'
WHEN t.typname = 'bytea' THEN 'hash_array_extended(ARRAY[r.%1$I], %3$L)'
WHEN t.typname IN ('float4', 'float8') THEN 'CASE WHEN r.%1$I IN (0, ''NaN'')
THEN hashtextextended(r.%1$I::text COLLATE "C", %3$L) ELSE hashfloat8extended(r.%1$I, %3$L) END'
WHEN t.typname IN ('date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'inet', 'cidr', 'macaddr',
'macaddr8', 'bit', 'varbit') THEN 'hash_array_extended(ARRAY[%2$s_send(r.%1$I)], %3$L)'
ELSE 'hashtextextended(r.%1$I::text COLLATE "C", %3$L)' END || ', %3$L)',
a.attname, t.typname, hashtextextended(a.attname::text COLLATE "C", 0))) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p') AND left(n.nspname, 3) <> 'pg_' GROUP BY 1"""
SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename) AS name, last_value,
sign(increment_by)::int AS direction
FROM pg_sequences WHERE last_value IS NOT NULL AND NOT cycle
AND left(schemaname, 3) <> 'pg_' ORDER BY 1"""
POSITIONS = """
SELECT format('%I.%I', schemaname, sequencename) AS name, last_value FROM pg_sequences
WHERE left(schemaname, 3) <> 'pg_'"""
LARGE_OBJECTS = large_pages.SUM.format(large_pages.HASHES)
# A crash resets the whole server's statistics and forgets when a database's were reset.
COUNTED_FROM = """
SELECT coalesce(greatest(d.stats_reset, least(b.stats_reset, a.stats_reset))::text, '') AS counted_from
FROM pg_stat_database d, pg_stat_bgwriter b, pg_stat_archiver a WHERE d.datname = current_database()"""
LARGE = large_pages.NAME


def fingerprint(session: Session, table: str, named: Sequence[str] | None = None) -> Record:
    """Return ``{"rows", "fingerprint"}`` of one table, by the text of its rows.

    Columns of the same name can be compared so in two databases that give them different types.

    Args:
        session: Where to ask.
        table: Its quoted name.
        named: Only these columns, in this order; all of them by default, which is the same as
            naming all in order.
    """
    return _summed(session, table, row_hash(named))


def row_hash(named: Sequence[str] | None = None) -> str:
    """Return the SQL for the hash of the text of one row of ``r``."""
    if named is None:
        return "hashtextextended(ROW(r.*)::text, 0)"
    picked = ", ".join(f"r.{identifier(column)}" for column in named)
    return f"hashtextextended(ROW({picked})::text, 0)"


class Fingerprints:
    """Takes the fingerprints of one database's tables, all in the same way.

    Args:
        session: Where to ask.
        how: By the ``value``, or by the ``text`` of a whole row, which older agents took and never
            wrote down.

    Raises:
        ActionError: ``backup-format`` where it is another way: only the agent that made the backup
            can compare it.
    """

    def __init__(self, session: Session, how: str = "value") -> None:
        self.session = session
        self._hashes: dict[str, dict[str, str]] | None = None
        if how == "value":
            self._hashes = {row["name"]: row["columns"] for row in session.rows(HASHES)}
        elif how != "text":
            message = f"this agent does not know how the backup's rows were hashed: {how}"
            raise ActionError("backup-format", message)

    def of(self, table: str, named: Sequence[str]) -> Record:
        """Return ``{"rows", "fingerprint"}`` of one table's columns of these names."""
        if self._hashes is None:
            return fingerprint(self.session, table, named)
        known = self._hashes.get(table, {})
        row = " # ".join(known[column] for column in named) or "0"
        return _summed(self.session, table, f"hashint8extended(0, {row})")

    def large(self) -> Record:
        """Return the same of all large objects."""
        hashes = large_pages.WHOLE if self._hashes is None else large_pages.HASHES
        return self.session.row(large_pages.SUM.format(hashes))


def _summed(session: Session, table: str, hashed: str) -> Record:
    try:
        return session.row(
            f"SELECT count(*) AS rows, coalesce(sum({hashed}), 0)::text AS fingerprint "
            f"FROM {source(table)} AS r"
        )
    except ActionError as error:
        if error.error != "value-too-large":
            raise
        message = f"{table} holds a row of more than 1 GB as text, which no dump can hold"
        raise ActionError(error.error, message, cause=error.cause, table=table) from error


def fingerprints(session: Session, how: str = "value") -> Record:
    """Return the fingerprint of every table, and of the large objects, by name."""
    prints, named = Fingerprints(session, how), columns(session)
    found = {table: prints.of(table, named.get(table, [])) for table in tables(session)}
    return found | {LARGE: prints.large()}


def sequences(session: Session) -> Record:
    """Return how far every sequence is, by name."""
    return {row.pop("name"): row for row in session.rows(SEQUENCES)}


def positions(session: Session) -> Record:
    """Return the last value of every sequence by name, of those that cycle, too; ``None`` for none."""
    return {row["name"]: row["last_value"] for row in session.rows(POSITIONS)}


def counted_from(session: Session) -> str:
    """Return since when the server has counted this database's writes; empty for since ever."""
    return str(session.value(COUNTED_FROM))


def compare(session: Session, manifest: Record) -> None:
    """Hold a restored database against what the dump's snapshot held.

    Raises:
        ActionError: ``backup-differs`` naming the first table or sequence that does.
    """
    found = fingerprints(session, manifest.get("hashed", "text"))
    made = extensions.tables(session).keys()  # of them, some with an extension's newer version
    for table in sorted(found.keys() - made | manifest["tables"].keys()):
        before, after = manifest["tables"].get(table), found.get(table)
        if before is not None and before.get("extension") and not _same(before, after):
            raise _of_extension(table, before, after)
        if before is None or after is None:
            fact = "is missing after the restore" if after is None else "was not in the dump"
            raise ActionError("backup-differs", f"{table} {fact}", table=table)
        if before["rows"] != after["rows"]:
            message = f"{table} has {after['rows']} rows restored, {before['rows']} in the dump"
            raise ActionError("backup-differs", message, table=table)
        if before["fingerprint"] != after["fingerprint"]:
            message = f"{table} holds other values restored than in the dump"
            raise ActionError("backup-differs", message, table=table)
    restored = sequences(session)
    for name, before in manifest["sequences"].items():
        value = restored.get(name, {}).get("last_value")
        if value is None or (value - before["last_value"]) * before["direction"] < 0:
            message = f"sequence {name} is behind: {value}, {before['last_value']} in the dump"
            raise ActionError("backup-differs", message, table=name)


def _same(one: Record, other: Record | None) -> bool:
    return other is not None and all(one[key] == other[key] for key in ("rows", "fingerprint"))


def _of_extension(table: str, before: Record, after: Record | None) -> ActionError:
    """Return the failure that names a table whose rows are the app's, and in no dump."""
    extension, rows = before["extension"], 0 if after is None else after["rows"]
    message = (
        f"{table} belongs to extension {extension} and is none of its configuration tables, so no dump"
        f" holds its {before['rows']} rows, and {rows} are there after a restore: make it the app's own (ALTER"
        f" EXTENSION {identifier(extension)} DROP TABLE {table}), or empty it where nobody needs its rows"
    )
    return ActionError("backup-differs", message, table=table)


def schema(server: Server, program: Path, database: str, *options: str, major: int) -> str:
    """Return the definition of everything in a database as SQL that is the same every time."""
    with Session(server, database) as session:
        encoding = "SQL_ASCII" if session.encoding == "SQL_ASCII" else "UTF8"
    fixed = ("--schema-only", "--lock-wait-timeout=30000", f"--encoding={encoding}", WITHOUT)
    text = run(server, [program, *fixed, *options, "-d", database], major=major)
    # current minor versions write a random key, and every version writes which one it is
    noise = ("\\restrict ", "\\unrestrict ", "-- Dumped from ", "-- Dumped by ")
    return "\n".join(line for line in text.splitlines() if not line.startswith(noise)) + "\n"
