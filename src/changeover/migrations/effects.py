"""What a statement locks and needs, by its kind.

The lock modes are those of PostgreSQL's documentation, chapter 13.3 "Explicit Locking", and of the
page of each command. A kind that is in none of the tables is called opaque: its locks are unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast

from changeover.migrations import alter_table, creations, maintenance
from changeover.migrations.names import dotted, of_parts, relation
from changeover.migrations.records import Effect, LockMode, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgast.pg_query_pb2 import Node

# They touch catalogs alone, or objects that no reader or writer of tables waits for.
LOCKLESS = {
    "alter_collation_stmt": "ALTER COLLATION",
    "alter_default_privileges_stmt": "ALTER DEFAULT PRIVILEGES",
    "alter_extension_contents_stmt": "ALTER EXTENSION",
    "alter_function_stmt": "ALTER FUNCTION",
    "alter_operator_stmt": "ALTER OPERATOR",
    "alter_op_family_stmt": "ALTER OPERATOR FAMILY",
    "alter_owner_stmt": "ALTER OWNER",
    "alter_tsconfiguration_stmt": "ALTER TEXT SEARCH CONFIGURATION",
    "alter_tsdictionary_stmt": "ALTER TEXT SEARCH DICTIONARY",
    "alter_type_stmt": "ALTER TYPE",
    "composite_type_stmt": "CREATE TYPE",
    "constraints_set_stmt": "SET CONSTRAINTS",
    "create_cast_stmt": "CREATE CAST",
    "create_conversion_stmt": "CREATE CONVERSION",
    "create_domain_stmt": "CREATE DOMAIN",
    "create_enum_stmt": "CREATE TYPE",
    "create_extension_stmt": "CREATE EXTENSION",
    "create_fdw_stmt": "CREATE FOREIGN DATA WRAPPER",
    "create_foreign_server_stmt": "CREATE SERVER",
    "create_function_stmt": "CREATE FUNCTION",
    "create_op_class_stmt": "CREATE OPERATOR CLASS",
    "create_op_family_stmt": "CREATE OPERATOR FAMILY",
    "create_range_stmt": "CREATE TYPE",
    "create_role_stmt": "CREATE ROLE",
    "alter_role_stmt": "ALTER ROLE",
    "create_schema_stmt": "CREATE SCHEMA",
    "create_seq_stmt": "CREATE SEQUENCE",
    "create_user_mapping_stmt": "CREATE USER MAPPING",
    "define_stmt": "CREATE",
    "grant_role_stmt": "GRANT",
    "grant_stmt": "GRANT",
    "notify_stmt": "NOTIFY",
    "variable_set_stmt": "SET",
    "variable_show_stmt": "SHOW",
}
CHANGING = {
    "insert_stmt": "INSERT",
    "update_stmt": "UPDATE",
    "delete_stmt": "DELETE",
    "merge_stmt": "MERGE",
}


def effect_of(node: Node) -> Effect:
    """Return what running this statement means."""
    kind = str(node.WhichOneof("node"))
    statement = getattr(node, kind)
    if kind in LOCKLESS:
        return Effect(kind=LOCKLESS[kind])
    if kind in CHANGING:
        return _change(CHANGING[kind], statement)
    if handler := HANDLERS.get(kind):
        return handler(statement)
    return Effect(kind=_words(kind), opaque=True, rewrites=None)


def _words(kind: str) -> str:
    return kind.removesuffix("_stmt").replace("_", " ").upper()


def _reads(statement: object, besides: frozenset[str] = frozenset()) -> tuple[Target, ...]:
    """Return the tables a query reads: named in FROM, joins and subqueries, and not a WITH name."""
    found: dict[Target, None] = {}
    names = {
        node.ctename
        for _, node in postgast.walk(statement)
        if type(node).__name__ == "CommonTableExpr"
    }
    for _, node in postgast.walk(statement):
        if type(node).__name__ == "RangeVar" and node.relname not in besides | names:
            found[Target(relation=relation(node), mode=LockMode.ACCESS_SHARE)] = None
    return tuple(found)


def _select(statement: object) -> Effect:
    types = {type(node).__name__ for _, node in postgast.walk(statement)}
    changed = types & {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"}
    targets = _reads(statement)
    if changed or "LockingClause" in types:
        mode = LockMode.ROW_EXCLUSIVE if changed else LockMode.ROW_SHARE
        targets = tuple(Target(relation=target.relation, mode=mode) for target in targets)
    if "IntoClause" in types:
        return Effect(kind="SELECT INTO", targets=targets)
    return Effect(kind="WITH" if changed else "SELECT", targets=targets)


def _change(kind: str, statement: Node) -> Effect:
    own = relation(statement.relation)
    return Effect(
        kind=kind,
        targets=(
            Target(relation=own, mode=LockMode.ROW_EXCLUSIVE),
            *_reads(statement, frozenset({own.name})),
        ),
    )


def _copy(statement: Node) -> Effect:
    mode = LockMode.ROW_EXCLUSIVE if statement.is_from else LockMode.ACCESS_SHARE
    return Effect(kind="COPY", targets=(Target(relation=relation(statement.relation), mode=mode),))


def _lock(statement: Node) -> Effect:
    mode = LockMode(statement.mode)
    return Effect(
        kind="LOCK TABLE",
        targets=tuple(
            Target(relation=relation(item.range_var), mode=mode) for item in statement.relations
        ),
    )


def _truncate(statement: Node) -> Effect:
    return Effect(
        kind="TRUNCATE",
        targets=tuple(
            Target(relation=relation(item.range_var), mode=LockMode.ACCESS_EXCLUSIVE)
            for item in statement.relations
        ),
    )


def _comment(statement: Node) -> Effect:
    kind = postgast.pg_query_pb2.ObjectType.Name(statement.objtype)
    targets: tuple[Target, ...] = ()
    if kind in {"OBJECT_TABLE", "OBJECT_COLUMN", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX"}:
        parts = dotted(statement.object)
        named = of_parts(parts[:-1] if kind == "OBJECT_COLUMN" else parts)
        targets = (
            Target(
                relation=named,
                mode=LockMode.SHARE_UPDATE_EXCLUSIVE,
                index=kind == "OBJECT_INDEX",
            ),
        )
    return Effect(kind="COMMENT", targets=targets)


def _enum(statement: Node) -> Effect:
    if statement.old_val:
        return Effect(kind="ALTER TYPE RENAME VALUE")
    # Since PostgreSQL 12 a transaction may add the value, but nobody may use it before the commit.
    return Effect(kind="ALTER TYPE ADD VALUE", commits_alone=True)


HANDLERS: dict[str, Callable[..., Effect]] = {
    "select_stmt": _select,
    "copy_stmt": _copy,
    "lock_stmt": _lock,
    "truncate_stmt": _truncate,
    "comment_stmt": _comment,
    "alter_enum_stmt": _enum,
    "alter_table_stmt": alter_table.effect,
    **creations.HANDLERS,
    **maintenance.HANDLERS,
}
