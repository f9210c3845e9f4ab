"""Tell from the text of a revert whether it takes away what users have written since. Pure.

A rehearsal shows what a revert does to the rows of a moment ago. What users write between the
migration and its revert it cannot show, so a revert that could take that away is not lossless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast

from changeover.migrations.alter_table import form_name
from changeover.migrations.names import relation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postgast.pg_query_pb2 import AlterTableStmt, DropStmt, InsertStmt, Node, UpdateStmt

    from changeover.migrations.records import Statement

    Columns = frozenset[tuple[str, str]]

HOLDING = {"OBJECT_TABLE", "OBJECT_FOREIGN_TABLE", "OBJECT_SCHEMA"}
FORMS = {"AT_DropColumn": "DROP COLUMN", "AT_AlterColumnType": "ALTER COLUMN TYPE"}


def of(revert: Sequence[Statement]) -> str:
    """Return what in a revert could take away what was written since; empty where nothing could."""
    added = frozenset(each for statement in revert for each in _added(statement))
    return next((each for statement in revert for each in _taken(statement, added)), "")


def _added(statement: Statement) -> Iterator[tuple[str, str]]:
    """Give the columns that a statement adds: nobody has written to them yet."""
    for node in _nodes(statement, "AlterTableStmt"):
        altered: AlterTableStmt = node
        for command in altered.cmds:
            if form_name(command.alter_table_cmd) == "AT_AddColumn":
                column = getattr(command.alter_table_cmd, "def").column_def.colname
                yield relation(altered.relation).name, column


def _taken(statement: Statement, added: Columns) -> Iterator[str]:
    if statement.effect.opaque:
        yield f"{statement.effect.kind}, whose text does not tell what it does"
    for _, node in postgast.walk(postgast.parse(statement.sql)):
        yield from _by_node(node, added)


def _by_node(node: object, added: Columns) -> Iterator[str]:
    name = type(node).__name__
    if name in {"DeleteStmt", "TruncateStmt", "MergeStmt"}:
        yield name.removesuffix("Stmt").upper()
    elif name == "DropStmt":
        yield from _dropped(node)
    elif name == "AlterTableCmd" and (form := FORMS.get(form_name(node))):
        yield form
    elif name == "UpdateStmt":
        yield from _overwritten(node, added)
    elif name == "InsertStmt":
        inserted: InsertStmt = node
        if inserted.on_conflict_clause.target_list:
            yield "INSERT ON CONFLICT DO UPDATE"


def _dropped(node: DropStmt) -> Iterator[str]:
    kind = postgast.pg_query_pb2.ObjectType.Name(node.remove_type)
    cascade = postgast.pg_query_pb2.DropBehavior.Name(node.behavior) == "DROP_CASCADE"
    if kind in HOLDING or cascade:
        yield f"DROP {kind.removeprefix('OBJECT_').replace('_', ' ')}{' CASCADE' * cascade}"


def _overwritten(node: UpdateStmt, added: Columns) -> Iterator[str]:
    table = relation(node.relation).name
    for target in node.target_list:
        if (table, target.res_target.name) not in added:
            yield f"UPDATE of {table}.{target.res_target.name}"


def _nodes(statement: Statement, name: str) -> Iterator[Node]:
    for _, node in postgast.walk(postgast.parse(statement.sql)):
        if type(node).__name__ == name:
            yield node
