"""Tables as the statements of a revert will have made them, written as queries on what is there today. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import postgast
from postgast.pg_query_pb2 import ObjectType

from changeover.migrations.alter_table import constraint_name
from changeover.migrations.names import relation
from changeover.migrations.records import Relation

if TYPE_CHECKING:
    from postgast.pg_query_pb2 import (
        ColumnDef,
        CreateStmt,
        CreateTableAsStmt,
        Node,
        RangeVar,
        RenameStmt,
        UpdateStmt,
    )

COMPUTED = {"CONSTR_DEFAULT", "CONSTR_GENERATED", "CONSTR_IDENTITY"}


@dataclass(slots=True)
class Table:
    """A table as the statements so far will have made it.

    Args:
        name: Its name by then.
        live: What it is called today, as SQL; empty where it is not there.
        columns: What columns will hold that are not there, as SQL, each after what it is made from.
        given: Those of them whose value no row decides: a rehearsal has shown them.
        bare: Those of them that nothing fills.
        unknown: Columns of which nobody can tell what they will hold.
    """

    name: Relation
    live: str
    columns: dict[str, str] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    @property
    def source(self) -> str:
        """The table for a FROM clause, under its own name."""
        found, alias = self.live, quoted(self.name.name)
        for column, expression in self.columns.items():
            found = f"(SELECT *, {expression} AS {quoted(column)} FROM {found} AS {alias})"  # noqa: S608 - built from a parse tree, asked read-only
        return f"{found} AS {alias}"

    def add(self, column: ColumnDef) -> None:
        """Note a column that is added."""
        kinds = {constraint_name(each.constraint) for each in column.constraints}
        serial = column.type_name.names[-1].string.sval.endswith("serial")
        self.given.add(column.colname)
        if not serial and not kinds & COMPUTED:
            self.bare.add(column.colname)
        empty = postgast.parse("SELECT NULL::int")
        cast = empty.stmts[0].stmt.select_stmt.target_list[0].res_target.val.type_cast
        if not serial:
            cast.type_name.CopyFrom(column.type_name)
        for each in column.constraints:
            if constraint_name(each.constraint) == "CONSTR_DEFAULT":
                cast.arg.CopyFrom(each.constraint.raw_expr)
        self.columns[column.colname] = str(postgast.deparse(empty)).removeprefix("SELECT ")

    def rename(self, column: str, name: str) -> None:
        """Note a column that gets another name."""
        self.columns[name] = quoted(column)
        for kept in (self.given, self.bare, self.unknown):
            if column in kept:
                kept.add(name)

    def update(self, node: UpdateStmt) -> None:
        """Note what an UPDATE writes; what the live rows do not tell is unknown."""
        alone = not node.from_clause and not node.HasField("with_clause")
        for target in node.target_list:
            column, value = target.res_target.name, target.res_target.val
            self.given.discard(column)
            self.bare.discard(column)
            before = self.columns.pop(column, None)
            plain = value.WhichOneof("node") not in {"set_to_default", "multi_assign_ref"}
            if before is None or not alone or not plain or node.relation.alias.aliasname:
                self.unknown.add(column)
                continue
            written = f"({sql(value)})"
            if node.HasField("where_clause"):
                written = f"CASE WHEN {sql(node.where_clause)} THEN {written} ELSE {before} END"
            self.columns[column] = written


@dataclass(slots=True)
class Tables:
    """The tables that statements have named so far."""

    _known: dict[Relation, Table] = field(default_factory=dict)

    def named(self, node: RangeVar) -> Table:
        """Return the table of a name."""
        name = relation(node)
        live = ".".join(quoted(part) for part in (name.schema, name.name) if part)
        return self._known.setdefault(_whole(name), Table(name=name, live=live))

    def made(self, node: CreateStmt | CreateTableAsStmt, name: RangeVar) -> None:
        """Note a table that is made; one that may have been there already is not."""
        if not node.if_not_exists:
            self._known[_whole(relation(name))] = Table(name=relation(name), live="")

    def rename(self, node: RenameStmt) -> None:
        """Note another name of a table or a column."""
        if node.rename_type == ObjectType.Value("OBJECT_TABLE"):
            table = self.named(node.relation)
            del self._known[_whole(table.name)]
            table.name = Relation(name=node.newname, schema=table.name.schema)
            self._known[_whole(table.name)] = table
        elif node.rename_type == ObjectType.Value("OBJECT_COLUMN"):
            self.named(node.relation).rename(node.subname, node.newname)


def sql(expression: Node) -> str:
    """Return an expression as SQL."""
    carrier = postgast.parse("SELECT 1")
    carrier.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(expression)
    return str(postgast.deparse(carrier)).removeprefix("SELECT ")


def quoted(name: str) -> str:
    """Return a name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _whole(named: Relation) -> Relation:
    return Relation(name=named.name, schema=named.schema or "public")
