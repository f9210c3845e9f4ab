"""Tell from the text of statements whether they take away what users have written. Pure.

A rehearsal shows what a revert does to the rows of a moment ago. What users write between the
migration and its revert it cannot show, so a revert that could take that away is not lossless. And
what a migration takes away or overwrites on its way forward no rename brings back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast

from changeover.migrations.alter_table import form_name
from changeover.migrations.freshness import Fresh
from changeover.migrations.known_functions import unknown_call
from changeover.migrations.names import dotted, of_parts, relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from postgast.pg_query_pb2 import AlterTableCmd, AlterTableStmt, DropStmt, Node, UpdateStmt

    from changeover.migrations.records import Migration, Relation, Statement

HOLDING = {
    *("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE", "OBJECT_SCHEMA", "OBJECT_SEQUENCE"),
    "OBJECT_EXTENSION",
}
# Each leaves all values where they are. A form that is not here is taken for one that does not.
KEEPING = {
    *("AT_AddColumn", "AT_ColumnDefault", "AT_DropNotNull", "AT_SetNotNull", "AT_AddIdentity"),
    *("AT_AddConstraint", "AT_AlterConstraint", "AT_ValidateConstraint", "AT_DropConstraint"),
    *("AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions", "AT_SetStorage"),
    *("AT_SetCompression", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_ReplicaIdentity"),
    *("AT_ClusterOn", "AT_DropCluster", "AT_SetLogged", "AT_SetTableSpace", "AT_ChangeOwner"),
    *("AT_SetAccessMethod", "AT_AddInherit", "AT_AttachPartition", "AT_DropExpression"),
    *("AT_EnableTrig", "AT_EnableTrigAll", "AT_EnableTrigUser", "AT_EnableAlwaysTrig"),
    *("AT_EnableReplicaTrig", "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser"),
    *("AT_EnableRowSecurity", "AT_DisableRowSecurity", "AT_ForceRowSecurity"),
    "AT_NoForceRowSecurity",
}
FORMS = {
    "AT_DropColumn": "DROP COLUMN",
    "AT_AlterColumnType": "ALTER COLUMN TYPE",
    "AT_DropIdentity": "DROP IDENTITY",
    "AT_DetachPartition": "DETACH PARTITION",
    "AT_DetachPartitionFinalize": "DETACH PARTITION",
}
RUNNING = {
    *("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"),
    "create_table_as_stmt",
}


def of(revert: Sequence[Statement]) -> str:
    """Return what in a revert could take away what was written since; empty where nothing could."""
    fresh = Fresh()
    found = ""
    for statement in revert:
        found = found or next(_taken(statement, fresh, filling=False), "")
        fresh.add(statement)
    return found


def forward(migrations: Iterable[Migration]) -> dict[str, str]:
    """Return what the migrations of one release take away or overwrite before `contract`, by their ids.

    What the release has made itself, and a value where there was none, takes nothing away.
    """
    found: dict[str, str] = {}
    for migration, _, what in statements(migrations):
        found.setdefault(migration.id, what)
    return found


def statements(migrations: Iterable[Migration]) -> Iterator[tuple[Migration, Statement, str]]:
    """Yield the statements that `forward` is about, and what each takes away or overwrites first."""
    fresh = Fresh()
    for migration in migrations:
        if migration.phase == "contract":
            continue
        for statement in migration.statements:
            if what := next(_taken(statement, fresh, filling=True), ""):
                yield migration, statement, what
            fresh.add(statement)


def _taken(statement: Statement, fresh: Fresh, *, filling: bool) -> Iterator[str]:
    if statement.effect.opaque:
        yield f"{statement.effect.kind}, whose text does not tell what it does"
    tree = postgast.parse(statement.sql)
    runs = {str(each.stmt.WhichOneof("node")) for each in tree.stmts} <= RUNNING
    for _, node in postgast.walk(tree):
        if runs and type(node).__name__ == "FuncCall" and (name := unknown_call(node)):
            yield f"a call of {name}, whose doing is not known"
        yield from _by_node(node, fresh, filling=filling)


def _by_node(node: Node, fresh: Fresh, *, filling: bool) -> Iterator[str]:
    name = type(node).__name__
    if name in {"DeleteStmt", "MergeStmt", "InsertStmt", "UpdateStmt"}:
        if not fresh.table(relation(node.relation)):
            yield from _changed(name, node, fresh, filling=filling)
    elif name == "TruncateStmt":
        if not _all_fresh((relation(each.range_var) for each in node.relations), fresh):
            yield "TRUNCATE"
    elif name == "AlterSeqStmt":
        if any(option.def_elem.defname == "restart" for option in node.options):
            yield "ALTER SEQUENCE RESTART"
    elif name == "RuleStmt":
        yield "CREATE RULE"
    elif more := {"DropStmt": _dropped, "AlterTableStmt": _altered}.get(name):
        yield from more(node, fresh)


def _changed(name: str, node: Node, fresh: Fresh, *, filling: bool) -> Iterator[str]:
    if name == "UpdateStmt":
        yield from _overwritten(node, fresh, filling=filling)
    elif name != "InsertStmt":
        yield name.removesuffix("Stmt").upper()
    elif node.on_conflict_clause.target_list:
        yield "INSERT ON CONFLICT DO UPDATE"


def _dropped(node: DropStmt, fresh: Fresh) -> Iterator[str]:
    kind = postgast.pg_query_pb2.ObjectType.Name(node.remove_type)
    cascade = postgast.pg_query_pb2.DropBehavior.Name(node.behavior) == "DROP_CASCADE"
    made_here = kind == "OBJECT_TABLE" and _all_fresh(
        (of_parts(dotted(each)) for each in node.objects), fresh
    )
    if (kind in HOLDING and not made_here) or cascade:
        yield f"DROP {kind.removeprefix('OBJECT_').replace('_', ' ')}{' CASCADE' * cascade}"


def _all_fresh(tables: Iterable[Relation], fresh: Fresh) -> bool:
    return all(fresh.table(each) for each in tables)


def _altered(node: AlterTableStmt, fresh: Fresh) -> Iterator[str]:
    table = relation(node.relation)
    for item in node.cmds:
        command: AlterTableCmd = item.alter_table_cmd
        form = form_name(command)
        if fresh.table(table) or (command.name and fresh.column(table, command.name)):
            continue
        if form == "AT_SetIdentity":
            names = {each.def_elem.defname for each in getattr(command, "def").list.items}
            if "restart" in names:
                yield "SET IDENTITY RESTART"
        elif form not in KEEPING:
            yield FORMS.get(form) or f"ALTER TABLE {form.removeprefix('AT_')}"


def _overwritten(node: UpdateStmt, fresh: Fresh, *, filling: bool) -> Iterator[str]:
    table = relation(node.relation)
    empty = _empty_before(node) if filling else frozenset()
    for target in node.target_list:
        name = target.res_target.name
        if not fresh.column(table, name) and name not in empty:
            yield f"UPDATE of {table.name}.{name}"


def _empty_before(node: UpdateStmt) -> frozenset[str]:
    """Return the columns that hold nothing in any row that an UPDATE meets: it asks for ``IS NULL``."""
    own = {node.relation.relname, node.relation.alias.aliasname}
    found = set()
    for test in _conjuncts(node.where_clause):
        asked = test.null_test
        null = postgast.pg_query_pb2.NullTestType.Name(asked.nulltesttype) == "IS_NULL"
        names = [part.string.sval for part in asked.arg.column_ref.fields]
        if test.WhichOneof("node") == "null_test" and null and names:
            *of_table, column = names
            if not of_table or of_table[-1] in own:
                found.add(column)
    return frozenset(found)


def _conjuncts(clause: Node) -> Iterator[Node]:
    both = postgast.pg_query_pb2.BoolExprType.Value("AND_EXPR")
    if clause.WhichOneof("node") == "bool_expr" and clause.bool_expr.boolop == both:
        for each in clause.bool_expr.args:
            yield from _conjuncts(each)
    else:
        yield clause
