"""Which tables hold a database's own rows, by the names that they are read under.

A partition is a table of its own, but for one kind. Rows that are spread by the hash of a type that is not
the server's own lie in other partitions after a restore: an enum's value is hashed by its number, which
is another one then. Such a table is read as a whole, and its name ends with a star, as in SQL.
"""

# ruff: noqa: S608 - our own queries

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.agent.postgres.session import Record, Session

WHOLE = " *"
NAMED = (
    f"format('%I.%I', n.nspname, c.relname) || CASE c.relkind WHEN 'p' THEN '{WHOLE}' ELSE '' END"
)
SPREAD = """
SELECT p.partrelid FROM pg_partitioned_table p CROSS JOIN unnest(p.partattrs::int2[]) AS k (number)
LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.number
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE p.partstrat = 'h' AND t.typnamespace IS DISTINCT FROM 'pg_catalog'::regnamespace"""
# A dump holds some rows of those tables of an extension that it declares as configuration, and the
# extension has put the others there. Materialized views are rebuilt on restore.
TABLES = f"""
SELECT {NAMED} AS name, c.oid::bigint AS oid
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r' OR c.oid IN ({SPREAD})) AND c.relpersistence <> 't'
AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS a (oid)
                WHERE a.oid <> c.oid AND a.oid IN ({SPREAD}))
AND NOT EXISTS (SELECT FROM pg_extension x, unnest(x.extconfig, x.extcondition) AS k (oid, condition)
                WHERE k.oid = c.oid AND k.condition <> '')
ORDER BY 1"""
COLUMNS = f"""
SELECT {NAMED} AS name, json_agg(a.attname ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND left(n.nspname, 3) <> 'pg_' GROUP BY 1"""
COUNTED = "pg_stat_get_tuples_{0}(c.oid) AS {0}"
SUMMED = "sum(pg_stat_get_tuples_{0}(l.oid))::bigint AS {0}"
KINDS = ("inserted", "updated", "deleted")
# To ask a partitioned table for its partitions would lock them all.
WRITES = f"""
SELECT {NAMED} AS name, c.oid::bigint AS oid, {", ".join(map(COUNTED.format, KINDS))}
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND left(n.nspname, 3) <> 'pg_'
UNION ALL
SELECT {NAMED} AS name, c.oid::bigint AS oid, {", ".join(map(SUMMED.format, KINDS))}
FROM pg_class l CROSS JOIN LATERAL pg_partition_ancestors(l.oid) AS a (oid)
JOIN pg_class c ON c.oid = a.oid AND c.relkind = 'p' JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.relkind = 'r' AND l.relispartition GROUP BY 1, 2"""


def tables(session: Session) -> list[str]:
    """Return the quoted names of all tables that hold the database's own rows."""
    return [row["name"] for row in session.rows(TABLES)]


def columns(session: Session) -> dict[str, list[str]]:
    """Return the column names of every table, in order; one without columns has none."""
    none: dict[str, list[str]] = {name: [] for name in tables(session)}
    return none | {row["name"]: row["columns"] for row in session.rows(COLUMNS)}


def writes(session: Session) -> Record:
    """Return the server's own counts of rows written, by table, with its ``oid``.

    They lag by up to ten seconds.
    """
    return {row.pop("name"): row for row in session.rows(WRITES)}


def source(table: str) -> str:
    """Return what a table's rows are read from: those of tables that inherit from it are theirs."""
    return table if table.endswith(WHOLE) else f"ONLY {table}"


def relation(table: str) -> str:
    """Return the quoted name of the relation itself."""
    return table.removesuffix(WHOLE)
