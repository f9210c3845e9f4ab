"""Read what other migration tools have recorded in a database: what they applied, what failed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from psycopg import sql

from changeover.executors.migrate.session import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.executors.migrate.session import Connection, Row

    Names = tuple[str, ...]
    Reader = Callable[["Connection", str, str], tuple[Names, Names]]

# Any of these columns; which tool's it is, is told by all of a table's columns and its name.
CANDIDATES = """
    SELECT namespace.nspname, class.relname, array_agg(attribute.attname::text),
           has_schema_privilege(namespace.oid, 'USAGE') AND has_table_privilege(class.oid, 'SELECT')
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relkind IN ('r', 'p') AND attribute.attnum > 0 AND NOT attribute.attisdropped
      AND namespace.nspname NOT IN ('pg_catalog', 'information_schema', 'changeover')
      AND EXISTS (SELECT FROM pg_attribute AS telling
                  WHERE telling.attrelid = class.oid AND NOT telling.attisdropped
                    AND telling.attname IN
                        ('version', 'version_num', 'change_id', 'installed_rank'))
    GROUP BY namespace.oid, namespace.nspname, class.oid, class.relname
    ORDER BY 1, 2
"""
RAILS = "SELECT FROM pg_class WHERE relname = 'ar_internal_metadata' AND relnamespace = %s::regnamespace"
FLYWAY = frozenset({"installed_rank", "version", "description", "type", "script", "success"})
SQITCH = frozenset({"change_id", "change", "project", "committed_at", "planner_name"})
UNDONE = {"UNDO_SQL", "UNDO_JDBC", "UNDO_SCRIPT", "DELETE"}
UNVERSIONED = {"SCHEMA"}
# A tool's table that is read beside the one it is known by.
BESIDE = {"Sqitch": ("events",)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a tool's own table says.

    Args:
        tool: The tool, such as ``Flyway``.
        table: Its table, with the schema.
        applied: Versions or changes that stand, oldest first where the table has an order.
        failed: Those that it began and did not finish.
        readable: Whether our role may read the table; if not, nothing else is known.
    """

    tool: str
    table: str
    applied: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    readable: bool = True

    @property
    def says(self) -> str:
        """Return it as one line for a person."""
        if not self.readable:
            return f"{self.tool} recorded in {self.table} what we may not read"
        said = f"{self.tool} recorded in {self.table}: {', '.join(self.applied) or 'nothing'}"
        return said + (f"; failed: {', '.join(self.failed)}" if self.failed else "")


def recorded(connection: Connection) -> tuple[Recorded, ...]:
    """Return what each tool's table says, by the tables' names; empty where there is none."""
    seen = rows(connection, CANDIDATES)
    readable = {(schema, table) for schema, table, _, open_to_us in seen if open_to_us}
    found: list[Recorded] = []
    for schema, table, columns, _ in seen:
        tool = _tool(connection, schema, table, frozenset(columns))
        if tool is None:
            continue
        ours = {(schema, name) for name in (table, *BESIDE.get(tool, ()))} <= readable
        applied, failed = READERS[tool](connection, schema, table) if ours else ((), ())
        found.append(
            Recorded(
                tool=tool,
                table=f"{schema}.{table}",
                applied=applied,
                failed=failed,
                readable=ours,
            )
        )
    return tuple(found)


def _tool(connection: Connection, schema: str, table: str, columns: frozenset[str]) -> str | None:
    if columns >= FLYWAY:
        return "Flyway"
    if columns >= SQITCH and table == "changes":
        return "Sqitch"
    if columns == {"version_num"}:
        return "Alembic"
    if columns == {"version", "dirty"}:
        return "golang-migrate"
    if columns == {"version"} and table == "schema_migrations":
        quoted = '"' + schema.replace('"', '""') + '"'
        return "Rails" if rows(connection, RAILS, (quoted,)) else "dbmate"
    return None


def _ask(connection: Connection, query: str, schema: str, table: str) -> list[Row]:
    place = sql.Identifier(schema, table)
    return connection.execute(sql.SQL(query).format(place)).fetchall()


def _versions(connection: Connection, schema: str, table: str) -> tuple[Names, Names]:
    found = _ask(connection, "SELECT version::text FROM {} ORDER BY 1", schema, table)
    return tuple(str(version) for (version,) in found), ()


def _alembic(connection: Connection, schema: str, table: str) -> tuple[Names, Names]:
    found = _ask(connection, "SELECT version_num::text FROM {} ORDER BY 1", schema, table)
    return tuple(str(version) for (version,) in found), ()


def _dirty(connection: Connection, schema: str, table: str) -> tuple[Names, Names]:
    found = _ask(connection, "SELECT version::text, dirty FROM {} ORDER BY 1", schema, table)
    return (
        tuple(str(version) for version, dirty in found if not dirty),
        tuple(str(version) for version, dirty in found if dirty),
    )


def _flyway(connection: Connection, schema: str, table: str) -> tuple[Names, Names]:
    query = "SELECT version, description, type, success FROM {} ORDER BY installed_rank"
    standing: dict[str, None] = {}
    failed: dict[str, None] = {}
    for version, description, kind, success in _ask(connection, query, schema, table):
        name = str(version or description)
        if not success:
            failed[name] = None
        elif kind in UNDONE:
            standing.pop(name, None)
        elif kind not in UNVERSIONED:
            standing[name] = None
    return tuple(standing), tuple(failed)


def _sqitch(connection: Connection, schema: str, table: str) -> tuple[Names, Names]:
    query = "SELECT project || ':' || change FROM {} ORDER BY committed_at"
    applied = tuple(str(name) for (name,) in _ask(connection, query, schema, table))
    last = """
        SELECT name FROM (
            SELECT DISTINCT ON (change_id) project || ':' || change AS name, event::text
            FROM {} ORDER BY change_id, committed_at DESC
        ) AS latest WHERE event = 'fail' ORDER BY 1
    """
    return applied, tuple(str(name) for (name,) in _ask(connection, last, schema, "events"))


READERS: dict[str, Reader] = {
    "Alembic": _alembic,
    "dbmate": _versions,
    "Flyway": _flyway,
    "golang-migrate": _dirty,
    "Rails": _versions,
    "Sqitch": _sqitch,
}
