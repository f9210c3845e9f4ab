"""What the CREATE commands for tables and what hangs on tables lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast
from postgast.pg_query_pb2 import ObjectType

from changeover.migrations.names import relation
from changeover.migrations.records import Effect, LockMode, Relation, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgast.pg_query_pb2 import Node


def _table(statement: Node) -> Effect:
    own = relation(statement.relation)
    targets: dict[Target, None] = {}
    parent_mode = (
        LockMode.ACCESS_EXCLUSIVE
        if statement.HasField("partbound")
        else LockMode.SHARE_UPDATE_EXCLUSIVE
    )
    for parent in statement.inh_relations:
        targets[Target(relation=relation(parent.range_var), mode=parent_mode)] = None
    for _, node in postgast.walk(statement):
        if type(node).__name__ == "Constraint" and node.HasField("pktable"):
            referenced = relation(node.pktable)
            if referenced.name != own.name:
                mode = LockMode.SHARE_ROW_EXCLUSIVE
                targets[Target(relation=referenced, mode=mode)] = None
        elif type(node).__name__ == "TableLikeClause":
            copied = relation(node.relation)
            targets[Target(relation=copied, mode=LockMode.ACCESS_SHARE)] = None
    return Effect(kind="CREATE TABLE", targets=tuple(targets), creates=(own,))


def _table_as(statement: Node) -> Effect:
    made = relation(statement.into.rel)
    view = statement.objtype == ObjectType.Value("OBJECT_MATVIEW")
    return Effect(
        kind="CREATE MATERIALIZED VIEW" if view else "CREATE TABLE AS",
        targets=_read_by(statement.query, besides=made),
        creates=(made,),
    )


def _view(statement: Node) -> Effect:
    own = relation(statement.view)
    targets = _read_by(statement.query, besides=own)
    if statement.replace:
        targets = (Target(relation=own, mode=LockMode.ACCESS_EXCLUSIVE), *targets)
    return Effect(kind="CREATE VIEW", targets=targets, creates=(own,))


def _read_by(query: Node, besides: Relation) -> tuple[Target, ...]:
    found: dict[Target, None] = {}
    for _, node in postgast.walk(query):
        if type(node).__name__ == "RangeVar" and relation(node) != besides:
            found[Target(relation=relation(node), mode=LockMode.ACCESS_SHARE)] = None
    return tuple(found)


def _index(statement: Node) -> Effect:
    concurrent = bool(statement.concurrent)
    mode = LockMode.SHARE_UPDATE_EXCLUSIVE if concurrent else LockMode.SHARE
    return Effect(
        kind="CREATE INDEX CONCURRENTLY" if concurrent else "CREATE INDEX",
        targets=(Target(relation=relation(statement.relation), mode=mode),),
        transactional=not concurrent,
        scans=True,
        creates=(Relation(name=statement.idxname, schema=statement.relation.schemaname),),
    )


def _trigger(statement: Node) -> Effect:
    targets = [
        Target(relation=relation(statement.relation), mode=LockMode.SHARE_ROW_EXCLUSIVE),
    ]
    if statement.HasField("constrrel"):
        other = relation(statement.constrrel)
        targets.append(Target(relation=other, mode=LockMode.SHARE_ROW_EXCLUSIVE))
    return Effect(kind="CREATE TRIGGER", targets=tuple(targets))


def _statistics(statement: Node) -> Effect:
    return Effect(
        kind="CREATE STATISTICS",
        targets=tuple(
            Target(relation=relation(item.range_var), mode=LockMode.SHARE_UPDATE_EXCLUSIVE)
            for item in statement.relations
        ),
    )


def _on_table(kind: str, field: str) -> Callable[[Node], Effect]:
    def handler(statement: Node) -> Effect:
        own = relation(getattr(statement, field))
        return Effect(kind=kind, targets=(Target(relation=own, mode=LockMode.ACCESS_EXCLUSIVE),))

    return handler


def _foreign_table(statement: Node) -> Effect:
    own = relation(statement.base_stmt.relation)
    return Effect(kind="CREATE FOREIGN TABLE", creates=(own,))


HANDLERS: dict[str, Callable[..., Effect]] = {
    "create_stmt": _table,
    "create_foreign_table_stmt": _foreign_table,
    "create_table_as_stmt": _table_as,
    "view_stmt": _view,
    "index_stmt": _index,
    "create_trig_stmt": _trigger,
    "create_stats_stmt": _statistics,
    "create_policy_stmt": _on_table("CREATE POLICY", "table"),
    "alter_policy_stmt": _on_table("ALTER POLICY", "table"),
    "rule_stmt": _on_table("CREATE RULE", "relation"),
}
