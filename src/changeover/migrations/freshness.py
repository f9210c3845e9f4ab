"""What a run of statements has made itself: nobody else has written to it yet. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import postgast

from changeover.migrations.alter_table import constraint_name, form_name
from changeover.migrations.names import relation
from changeover.migrations.records import Relation

if TYPE_CHECKING:
    from postgast.pg_query_pb2 import AlterTableStmt, ColumnDef, CreateStmt

    from changeover.migrations.records import Statement

FILLED = {"CONSTR_DEFAULT", "CONSTR_GENERATED", "CONSTR_IDENTITY"}


@dataclass(slots=True)
class Fresh:
    """Tables and columns that statements have made so far.

    What ``IF NOT EXISTS`` may have found there already does not count.
    """

    _tables: set[Relation] = field(default_factory=set)
    _columns: dict[tuple[Relation, str], bool] = field(default_factory=dict)

    def table(self, named: Relation) -> bool:
        """Tell whether the table was made."""
        return whole(named) in self._tables

    def column(self, table: Relation, name: str) -> bool:
        """Tell whether the column was made, or its table."""
        return self.table(table) or (whole(table), name) in self._columns

    def filled(self, table: Relation, name: str) -> bool:
        """Tell whether the column was made, and has a value where a writer does not know of it."""
        return self._columns.get((whole(table), name), False)

    def add(self, statement: Statement) -> None:
        """Note what a statement makes."""
        for _, node in postgast.walk(postgast.parse(statement.sql)):
            kind = type(node).__name__
            if kind == "CreateStmt":
                self._made(node)
            elif kind == "CreateTableAsStmt" and not node.if_not_exists:
                self._tables.add(whole(relation(node.into.rel)))
            elif kind == "AlterTableStmt":
                self._altered(node)

    def _made(self, node: CreateStmt) -> None:
        if not node.if_not_exists:
            self._tables.add(whole(relation(node.relation)))

    def _altered(self, node: AlterTableStmt) -> None:
        table = whole(relation(node.relation))
        for item in node.cmds:
            command = item.alter_table_cmd
            form, definition = form_name(command), getattr(command, "def")
            if form == "AT_AddColumn" and not command.missing_ok:
                column: ColumnDef = definition.column_def
                kinds = {constraint_name(each.constraint) for each in column.constraints}
                self._columns[(table, column.colname)] = bool(kinds & FILLED)
            elif form == "AT_ColumnDefault" and (table, command.name) in self._columns:
                self._columns[(table, command.name)] = bool(definition.WhichOneof("node"))


def whole(named: Relation) -> Relation:
    """Return a name with its schema: ``users`` is ``public.users`` unless somebody moved the search path."""
    return Relation(name=named.name, schema=named.schema or "public")
