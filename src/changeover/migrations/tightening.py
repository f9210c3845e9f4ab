"""What a revert demands of every row: constraints that rows written since may break. Pure.

A rehearsal undoes on rows that the old schema let in. What the new version's users have written since
may break what comes back, so the live rows are asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import postgast
from postgast.pg_query_pb2 import ObjectType

from changeover.migrations.alter_table import constraint_name, form_name
from changeover.migrations.tables_ahead import Tables, quoted, sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from postgast.pg_query_pb2 import AlterTableStmt, Constraint, IndexStmt, Node

    from changeover.migrations.records import Statement
    from changeover.migrations.tables_ahead import Table

UNIQUE = {"CONSTR_UNIQUE": "UNIQUE", "CONSTR_PRIMARY": "PRIMARY KEY"}
DOMAIN = {"C", "O", "V"}  # ADD CONSTRAINT, SET NOT NULL, VALIDATE CONSTRAINT
ALTERED = {ObjectType.Value("OBJECT_TABLE"), ObjectType.Value("OBJECT_FOREIGN_TABLE")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What every row has to keep, for a revert to run.

    Args:
        what: It in words, such as ``NOT NULL for users.email``.
        query: Counts the live rows that break it; empty where no query can be written.
    """

    what: str
    query: str = ""


@dataclass(slots=True)
class Chain:
    """Reverts, one after the other: each finds the tables as those before have left them."""

    _tables: Tables = field(default_factory=Tables)
    _unproved: dict[tuple[str, str], tuple[Demand, ...]] = field(default_factory=dict)

    def then(self, revert: Iterable[Statement]) -> tuple[Demand, ...]:
        """Return what the next revert demands of the rows that are live."""
        return tuple(
            demand
            for statement in revert
            for _, node in postgast.walk(postgast.parse(statement.sql))
            for demand in self._of(node)
        )

    def _of(self, node: Node) -> Iterator[Demand]:
        kind = type(node).__name__
        if kind == "CreateStmt":
            self._tables.made(node, node.relation)
        elif kind == "CreateTableAsStmt":
            self._tables.made(node, node.into.rel)
        elif kind == "RenameStmt":
            self._tables.rename(node)
        elif kind == "UpdateStmt":
            self._tables.named(node.relation).update(node)
        elif kind == "AlterTableStmt" and node.objtype in ALTERED:
            yield from self._altered(node)
        elif kind == "IndexStmt" and node.unique:
            yield from _unique_index(node, self._tables.named(node.relation))
        elif kind == "AlterDomainStmt" and node.subtype in DOMAIN:
            domain = ".".join(each.string.sval for each in node.type_name)
            yield Demand(what=f"a constraint of the domain {domain}")

    def _altered(self, node: AlterTableStmt) -> Iterator[Demand]:
        table = self._tables.named(node.relation)
        for item in node.cmds:
            command = item.alter_table_cmd
            form, definition = form_name(command), getattr(command, "def")
            if form == "AT_AddColumn":
                column = definition.column_def
                table.add(column)
                for each in column.constraints:
                    yield from self._constraint(each.constraint, [column.colname], table)
            elif form == "AT_SetNotNull":
                yield from _not_null(command.name, table)
            elif form == "AT_AddConstraint":
                yield from self._constraint(definition.constraint, [], table)
            elif form == "AT_ValidateConstraint":
                yield from self._validated(command.name, table)
            elif form == "AT_AttachPartition":
                yield Demand(what=f"the bounds of a partition of {table.name.dotted}")

    def _constraint(self, constraint: Constraint, own: list[str], table: Table) -> Iterator[Demand]:
        """Give what a constraint demands; one of a column bears its name in ``own``."""
        found = tuple(self._demanded(constraint, own, table))
        if constraint.skip_validation:
            self._unproved[(table.name.name, constraint.conname)] = found
        else:
            yield from found

    def _validated(self, name: str, table: Table) -> Iterator[Demand]:
        what = f"VALIDATE CONSTRAINT {name} of {table.name.dotted}"
        yield from self._unproved.get((table.name.name, name), (Demand(what=what),))

    def _demanded(self, constraint: Constraint, own: list[str], table: Table) -> Iterator[Demand]:
        kind, of_table = constraint_name(constraint), f"of {table.name.dotted}"
        keys = [each.string.sval for each in constraint.keys] or own
        if kind == "CONSTR_NOTNULL":
            for name in keys:
                yield from _not_null(name, table)
        elif kind == "CONSTR_CHECK":
            broken = f"NOT ({sql(constraint.raw_expr)})"
            yield from _rows(table, f"a CHECK {of_table}", _columns(constraint.raw_expr), broken)
        elif kind in UNIQUE and not constraint.indexname:
            what = f"{UNIQUE[kind]} ({', '.join(keys)}) {of_table}"
            written = [quoted(each) for each in keys]
            yield from _twice(table, what, keys, written, nulls=constraint.nulls_not_distinct)
            if kind == "CONSTR_PRIMARY":
                for name in keys:
                    yield from _not_null(name, table)
        elif kind == "CONSTR_FOREIGN":
            named = [each.string.sval for each in constraint.fk_attrs] or own
            yield from self._foreign(constraint, named, table)
        elif kind in {"CONSTR_EXCLUSION", "CONSTR_PRIMARY"}:
            yield Demand(what=f"{UNIQUE.get(kind, 'EXCLUDE')} {of_table}")

    def _foreign(self, constraint: Constraint, keys: list[str], table: Table) -> Iterator[Demand]:
        others = [each.string.sval for each in constraint.pk_attrs]
        what = f"a foreign key ({', '.join(keys)}) of {table.name.dotted}"
        parent = self._tables.named(constraint.pktable)
        if not others or not parent.live or parent.name.name == table.name.name:
            yield Demand(what=what)
            return
        child, other = quoted(table.name.name), quoted(parent.name.name)
        filled = " AND ".join(f"{child}.{quoted(key)} IS NOT NULL" for key in keys)
        pairs = zip(others, keys, strict=True)
        same = " AND ".join(f"{other}.{quoted(up)} = {child}.{quoted(key)}" for up, key in pairs)
        missing = f"{filled} AND NOT EXISTS (SELECT FROM {parent.source} WHERE {same})"
        yield from _rows(table, what, keys, missing)


def of(revert: Iterable[Statement]) -> tuple[Demand, ...]:
    """Return what one revert demands by itself."""
    return Chain().then(revert)


def _settled(table: Table, what: str, columns: Iterable[str]) -> list[Demand] | None:
    """Return what is known without a query; ``None`` where the rows have to be asked."""
    named = set(columns)
    if named & table.unknown:
        return [Demand(what=what)]
    return [] if not table.live or (named and named <= table.given) else None


def _rows(table: Table, what: str, columns: Iterable[str], broken: str) -> Iterator[Demand]:
    """Give the demand that no row is ``broken``; none where no row decides about these columns."""
    known = _settled(table, what, columns)
    if known is not None:
        yield from known
        return
    query = f"SELECT count(*) FROM {table.source} WHERE {broken}"  # noqa: S608 - built from a parse tree, asked read-only
    yield Demand(what=what, query=query)


def _not_null(column: str, table: Table) -> Iterator[Demand]:
    what = f"NOT NULL for {table.name.dotted}.{column}"
    named = [] if column in table.bare else [column]
    yield from _rows(table, what, named, f"{quoted(column)} IS NULL")


def _unique_index(node: IndexStmt, table: Table) -> Iterator[Demand]:
    elements = [each.index_elem for each in node.index_params]
    written = [quoted(each.name) if each.name else f"({sql(each.expr)})" for each in elements]
    named = [each.name for each in elements if each.name]
    named += [name for each in elements if not each.name for name in _columns(each.expr)]
    what = f"the unique index {node.idxname} of {table.name.dotted}"
    where = ""
    if node.HasField("where_clause"):
        named += _columns(node.where_clause)
        where = f"({sql(node.where_clause)})"
    yield from _twice(table, what, named, written, nulls=node.nulls_not_distinct, where=where)


def _twice(
    table: Table,
    what: str,
    named: Sequence[str],
    keys: Sequence[str],
    *,
    nulls: bool,
    where: str = "",
) -> Iterator[Demand]:
    """Give the demand that no two rows have the same keys; where ``nulls``, not even empty ones."""
    known = _settled(table, what, named)
    if known is not None:
        yield from known
        return
    tests = [where] if where else []
    tests += [] if nulls else [f"{key} IS NOT NULL" for key in keys]
    kept = f" WHERE {' AND '.join(tests)}" if tests else ""
    yield Demand(
        what=what,
        query="SELECT coalesce(sum(met), 0)::bigint FROM (SELECT count(*) AS met FROM "  # noqa: S608 - as above
        f"{table.source}{kept} GROUP BY {', '.join(keys)} HAVING count(*) > 1) AS found",
    )


def _columns(expression: Node) -> list[str]:
    walked = (node for _, node in postgast.walk(expression))
    return [
        str(node.fields[-1].string.sval) for node in walked if type(node).__name__ == "ColumnRef"
    ]
