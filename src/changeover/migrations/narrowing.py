"""Find migrations after which the old version may not be able to write what it writes. Pure.

It knows nothing of what the release has made itself: a rule over that alone it cannot break.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast

from changeover.migrations.alter_table import constraint_name, form_name
from changeover.migrations.freshness import Fresh
from changeover.migrations.names import relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from postgast.pg_query_pb2 import AlterTableCmd, Constraint, IndexStmt, Node

    from changeover.migrations.records import Migration, Relation, Statement

COMPARING = {
    "CONSTR_UNIQUE": "UNIQUE",
    "CONSTR_EXCLUSION": "EXCLUDE",
    "CONSTR_PRIMARY": "PRIMARY KEY",
}
HIDING = {"AT_EnableRowSecurity", "AT_ForceRowSecurity"}


def of(migrations: Iterable[Migration]) -> frozenset[str]:
    """Return the ids of the migrations of one release that forbid, before `contract`, what was allowed."""
    return frozenset(migration.id for migration, *_ in statements(migrations))


def statements(
    migrations: Iterable[Migration],
) -> Iterator[tuple[Migration, Statement, str, Relation]]:
    """Yield the statements of one release that forbid, before `contract`, what was allowed: what does, and where."""
    fresh = Fresh()
    for migration in migrations:
        if migration.phase == "contract":
            continue
        for statement in migration.statements:
            # a column may come with the rule in one statement
            fresh.add(statement)
            for _, node in postgast.walk(postgast.parse(statement.sql)):
                for what, table in _forbids(node, fresh):
                    yield migration, statement, f"{what} of {table.dotted}", table


def _forbids(node: Node, fresh: Fresh) -> Iterator[tuple[str, Relation]]:
    kind = type(node).__name__
    if kind not in {"AlterTableStmt", "IndexStmt", "RuleStmt"}:
        return
    table = relation(node.relation)
    if fresh.table(table):
        return
    if kind == "AlterTableStmt":
        for item in node.cmds:
            if what := _form(item.alter_table_cmd, table, fresh):
                yield what, table
    elif kind == "RuleStmt":
        yield "a rule", table
    elif _unique_index(node, table, fresh):
        yield "a unique index", table


def _unique_index(node: IndexStmt, table: Relation, fresh: Fresh) -> bool:
    names = [each.index_elem.name for each in node.index_params]
    return node.unique and not (_left_empty(names, table, fresh) and not node.nulls_not_distinct)


def _form(command: AlterTableCmd, table: Relation, fresh: Fresh) -> str:
    form = form_name(command)
    if form == "AT_SetNotNull":
        return "" if fresh.filled(table, command.name) else f"NOT NULL for {command.name}"
    if form == "AT_AlterColumnType":
        return "" if fresh.column(table, command.name) else f"another type for {command.name}"
    if form == "AT_AddConstraint":
        return _constraint(getattr(command, "def").constraint, table, fresh)
    return "row security" if form in HIDING else ""


def _constraint(constraint: Constraint, table: Relation, fresh: Fresh) -> str:
    kind = constraint_name(constraint)
    if kind == "CONSTR_CHECK":
        named = list(_columns(constraint.raw_expr))
        return "" if named and all(fresh.column(table, each) for each in named) else "a CHECK"
    if kind == "CONSTR_FOREIGN":
        keys = [each.string.sval for each in constraint.fk_attrs]
        return "" if _left_empty(keys, table, fresh) else "a foreign key"
    if kind in COMPARING and _compares(kind, constraint, table, fresh):
        return COMPARING[kind]
    return ""


def _compares(kind: str, constraint: Constraint, table: Relation, fresh: Fresh) -> bool:
    if kind == "CONSTR_UNIQUE" and constraint.indexname:
        return False  # its index forbade it before
    if kind == "CONSTR_EXCLUSION":
        keys = [each.list.items[0].index_elem.name for each in constraint.exclusions]
    else:
        keys = [each.string.sval for each in constraint.keys]
    if kind == "CONSTR_PRIMARY":
        return not (keys and all(fresh.filled(table, each) for each in keys))
    return constraint.nulls_not_distinct or not _left_empty(keys, table, fresh)


def _left_empty(names: Iterable[str], table: Relation, fresh: Fresh) -> bool:
    """Tell whether the old version leaves one of the columns empty: such a row equals and refers to none."""
    return any(fresh.column(table, each) and not fresh.filled(table, each) for each in names)


def _columns(expression: Node) -> Iterator[str]:
    for _, node in postgast.walk(expression):
        if type(node).__name__ == "ColumnRef":
            yield str(node.fields[-1].string.sval)
