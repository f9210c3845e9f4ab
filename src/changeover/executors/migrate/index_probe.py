"""Look at an index in the catalog: is it there, valid, ours, and what the file says."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from changeover.executors.migrate.session import row, rows
from changeover.migrations.indexes import same_definition

if TYPE_CHECKING:
    from changeover.executors.migrate.session import Connection
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.indexes import IndexBuild
    from changeover.migrations.records import Relation

SCRATCH = "changeover_scratch"
FOUND = """
    SELECT class.relkind,
           coalesce(index.indrelid = to_regclass(%(table)s), false),
           coalesce(index.indisvalid AND index.indisready AND index.indislive, false),
           pg_get_indexdef(class.oid),
           (SELECT progress.pid FROM pg_stat_progress_create_index AS progress
            JOIN pg_locks AS held ON held.pid = progress.pid
            WHERE held.relation = to_regclass(%(table)s)::oid AND held.granted
              AND held.mode = 'ShareUpdateExclusiveLock' LIMIT 1)
    FROM pg_class AS class LEFT JOIN pg_index AS index ON index.indexrelid = class.oid
    WHERE class.relname = %(name)s AND class.relnamespace =
        (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%(table)s))
"""
INVALID = """
    SELECT class.oid::regclass::text
    FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
    WHERE NOT index.indisvalid AND index.indrelid IN
        (to_regclass(%(name)s),
         (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass(%(name)s)))
    ORDER BY 1
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoundIndex:
    """An object that bears the index's name.

    Args:
        index: Whether it is an index on that table.
        valid: Whether queries may use it.
        definition: As PostgreSQL prints it.
        builder: The session that builds an index on that table now, if there is one.
    """

    index: bool
    valid: bool
    definition: str
    builder: int | None


def quoted(relation: Relation) -> str:
    """Return a relation's name as SQL, for ``to_regclass`` and DDL."""
    parts = [part for part in (relation.schema, relation.name) if part]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def find(turn: Turn, build: IndexBuild) -> FoundIndex | None:
    """Return what bears the index's name in the table's schema, or None."""
    values = {"table": quoted(build.table), "name": build.name}
    found = turn.work.execute(FOUND, values).fetchone()
    if found is None:
        return None
    kind, same_table, valid, definition, builder = found
    return FoundIndex(
        index=kind in {"i", "I"} and same_table,
        valid=valid,
        definition=definition or f"relkind {kind}",
        builder=builder,
    )


def fits(turn: Turn, build: IndexBuild, found: FoundIndex) -> bool:
    """Tell whether the index found is the one that ``build`` would make.

    The same server prints the definition of the same index on an empty copy of the table, so that
    casts and names it adds of its own are the same on both sides.
    """
    if not found.index:
        return False
    with turn.work.transaction(force_rollback=True):
        turn.limit()
        turn.work.execute(f"CREATE SCHEMA {SCRATCH}".encode())
        copy = f'{SCRATCH}."{build.table.name.replace(chr(34), chr(34) * 2)}"'
        turn.work.execute(f"CREATE TABLE {copy} (LIKE {quoted(build.table)})".encode())
        turn.work.execute(build.on_schema(SCRATCH).encode())
        printed = rows(
            turn.work,
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass(%s)",
            (copy,),
        )
    return same_definition(str(printed[0][0]), found.definition)


def drop(connection: Connection, build: IndexBuild) -> None:
    """Drop the index without locking readers or writers out; no transaction may be open."""
    schema = row(
        connection,
        "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(%s)",
        (quoted(build.table),),
    )
    name = build.name.replace('"', '""')
    place = f"{schema[0]}." if schema else ""
    connection.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {place}"{name}"'.encode())


def invalid_on(connection: Connection, relation: Relation) -> tuple[str, ...]:
    """Return the invalid indexes of a table, or of the table that an index belongs to."""
    found = connection.execute(INVALID, {"name": quoted(relation)}).fetchall()
    return tuple(str(name) for (name,) in found)
