"""The questions that data checks put to a database, with the names quoted."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from psycopg import sql

from changeover.executors.migrate.index_probe import quoted
from changeover.executors.migrate.session import row, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.executors.migrate.session import Connection, Row
    from changeover.migrations.checks import Column, Orphans
    from changeover.migrations.records import Relation

EXAMPLES = 3
CURSOR = "changeover_check"
ROWS_A_FETCH = 10_000  # a million rows are then a hundred ways through the tunnel
TABLE = """
    SELECT class.relkind IN ('r', 'p', 'v'), quote_ident(nspname) || '.' || quote_ident(relname),
           nspname IN ('pg_catalog', 'information_schema')
    FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE class.oid = to_regclass(%s)
"""
LOST = """
    WITH lost AS (
        SELECT child.{child}::text AS key FROM {child_table} AS child
        WHERE child.{child} IS NOT NULL
          AND NOT EXISTS (SELECT FROM {parent_table} AS parent WHERE parent.{parent} = child.{child})
    )
    SELECT count(*),
           ARRAY(SELECT key FROM lost GROUP BY key ORDER BY key LIMIT {examples})
    FROM lost
"""
EMPTY = """
    SELECT count(*), ARRAY(SELECT {key} FROM {table} WHERE {column} IS NULL LIMIT {examples})
    FROM {table} WHERE {column} IS NULL
"""
PRIMARY_KEY = """
    SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
    WHERE indisprimary AND indrelid = to_regclass(%s)
    ORDER BY array_position(indkey::int[], attnum::int)
"""
# Those of types that count, and that do not begin again by design.
OWNED = """
    SELECT namespace.nspname, class.relname, attname, sequence_space.nspname, sequence.relname,
           seqincrement
    FROM pg_depend
    JOIN pg_class AS sequence ON sequence.oid = objid AND sequence.relkind = 'S'
    JOIN pg_namespace AS sequence_space ON sequence_space.oid = sequence.relnamespace
    JOIN pg_sequence ON seqrelid = sequence.oid AND NOT seqcycle
    JOIN pg_class AS class ON class.oid = refobjid AND class.relkind IN ('r', 'p')
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN pg_attribute ON attrelid = class.oid AND attnum = refobjsubid
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
      AND deptype IN ('a', 'i') AND class.relpersistence <> 't'
      AND atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
      AND CASE WHEN %(table)s::text IS NULL
          THEN namespace.nspname <> 'changeover' AND has_table_privilege(class.oid, 'SELECT')
               AND has_table_privilege(sequence.oid, 'SELECT')
          ELSE class.oid = to_regclass(%(table)s) END
    ORDER BY 1, 2, 3
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OwnedSequence:
    """A sequence that a column takes its values from.

    Args:
        name: Its name as it is shown, with the schema.
        column: Of the column that owns it.
        following: What it gives next.
        furthest: The column's greatest value, or its least where the sequence counts down.
        upwards: Whether it counts up.
    """

    name: str
    column: str
    following: int
    furthest: int | None
    upwards: bool

    @property
    def ahead(self) -> bool:
        """Tell whether what it gives next is not in the column yet."""
        if self.furthest is None:
            return True
        if self.upwards:
            return self.following > self.furthest
        return self.following < self.furthest


def table_named(connection: Connection, relation: Relation) -> tuple[bool, str] | None:
    """Return whether what bears the name can be held still, and its full name.

    A view can: locking it locks the tables below it.
    """
    found = row(connection, TABLE, (quoted(relation),))
    return (found[0] and not found[2], found[1]) if found else None


def hold(connection: Connection, table: str) -> None:
    """Let nobody else write to a table until the transaction ends; readers go on."""
    connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE".encode())


def count(connection: Connection, table: Relation) -> int:
    """Return how many rows a table has."""
    found = connection.execute(_with("SELECT count(*) FROM {table}", table=table)).fetchone()
    return int(found[0]) if found else 0


def orphans(connection: Connection, check: Orphans) -> tuple[int, tuple[str, ...]]:
    """Return how many rows name a parent that is not there, and some of the names."""
    query = _with(
        LOST,
        child_table=check.child.table,
        child=check.child.name,
        parent_table=check.parent.table,
        parent=check.parent.name,
    )
    return _counted(connection, query)


def empty(connection: Connection, column: Column) -> tuple[int, tuple[str, ...]]:
    """Return how many rows have NULL there, and the primary keys of some of them."""
    names = [str(name) for (name,) in rows(connection, PRIMARY_KEY, (quoted(column.table),))]
    parts = [
        sql.SQL("{} || {}::text").format(sql.Literal(f"{name}="), sql.Identifier(name))
        for name in names
    ]
    key = sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(parts))
    query = _with(EMPTY, key=key if parts else sql.NULL, table=column.table, column=column.name)
    number, keys = _counted(connection, query)
    return number, keys if parts else ()


def owned_sequences(connection: Connection, table: Relation | None) -> list[OwnedSequence]:
    """Return where the sequences of a table's columns are, or those of all tables that we may read."""
    named = {"table": quoted(table) if table else None}
    return [_sequence(connection, each) for each in connection.execute(OWNED, named).fetchall()]


def answers(connection: Connection, query: str) -> Iterator[Row]:
    """Give a query's rows as they come, since they may be as many as a table's."""
    with connection.cursor(name=CURSOR) as cursor:
        cursor.itersize = ROWS_A_FETCH
        cursor.execute(query.encode())
        yield from cursor


def _sequence(connection: Connection, found: Row) -> OwnedSequence:
    schema, table, column, sequence_schema, sequence, increment = found
    furthest, last, called = connection.execute(
        sql.SQL(
            "SELECT (SELECT {most}({column}) FROM {table}), last_value, is_called FROM {sequence}"
        ).format(
            most=sql.SQL("max" if increment > 0 else "min"),
            column=sql.Identifier(column),
            table=sql.Identifier(schema, table),
            sequence=sql.Identifier(sequence_schema, sequence),
        )
    ).fetchone() or (None, 0, False)
    return OwnedSequence(
        name=f"{sequence_schema}.{sequence}",
        column=f"{schema}.{table}.{column}",
        following=last + increment if called else last,
        furthest=furthest,
        upwards=increment > 0,
    )


def _counted(connection: Connection, query: sql.Composed) -> tuple[int, tuple[str, ...]]:
    found = connection.execute(query).fetchone()
    return (int(found[0]), tuple(map(str, found[1]))) if found else (0, ())


def _with(text: str, **names: Relation | str | sql.Composable) -> sql.Composed:
    """Return SQL with names in it, quoted."""
    parts: dict[str, Any] = {"examples": sql.Literal(EXAMPLES)}
    for place, name in names.items():
        if isinstance(name, sql.Composable):
            parts[place] = name
        elif isinstance(name, str):
            parts[place] = sql.Identifier(name)
        else:
            parts[place] = sql.Identifier(*filter(None, (name.schema, name.name)))
    return sql.SQL(text).format(**parts)
