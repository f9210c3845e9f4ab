"""What DROP, RENAME, REINDEX, VACUUM and their like lock, and which of them refuse a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postgast.pg_query_pb2 import ObjectType, ReindexObjectType

from changeover.migrations.names import dotted, of_parts, option, relation
from changeover.migrations.records import Effect, LockMode, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgast.pg_query_pb2 import Node

RELATIONS = {"TABLE", "VIEW", "MATVIEW", "SEQUENCE", "FOREIGN_TABLE", "INDEX"}
ON_TABLES = {"TRIGGER", "POLICY", "RULE"}
WORDS = {"MATVIEW": "MATERIALIZED VIEW", "FOREIGN_TABLE": "FOREIGN TABLE"}


def _object(kind: int) -> str:
    return str(ObjectType.Name(kind)).removeprefix("OBJECT_")


def _drop(statement: Node) -> Effect:
    what = _object(statement.remove_type)
    mode = LockMode.ACCESS_EXCLUSIVE
    if statement.concurrent:
        mode = LockMode.SHARE_UPDATE_EXCLUSIVE
    targets: list[Target] = []
    for item in statement.objects:
        parts = dotted(item)
        if what in RELATIONS:
            targets.append(Target(relation=of_parts(parts), mode=mode, index=what == "INDEX"))
        elif what in ON_TABLES:
            targets.append(Target(relation=of_parts(parts[:-1]), mode=mode))
    words = f"DROP {WORDS.get(what, what.replace('_', ' '))}"
    return Effect(
        kind=f"{words} CONCURRENTLY" if statement.concurrent else words,
        targets=tuple(targets),
        transactional=not statement.concurrent,
    )


def _rename(statement: Node) -> Effect:
    what = _object(statement.rename_type)
    if not statement.HasField("relation"):
        return Effect(kind=f"ALTER {what} RENAME")
    index = what == "INDEX"
    mode = LockMode.SHARE_UPDATE_EXCLUSIVE if index else LockMode.ACCESS_EXCLUSIVE
    words = {"TABLE": "", "COLUMN": "COLUMN ", "TABCONSTRAINT": "CONSTRAINT "}
    kind = f"ALTER TABLE RENAME {words[what]}".rstrip() if what in words else f"ALTER {what} RENAME"
    return Effect(
        kind=kind,
        targets=(Target(relation=relation(statement.relation), mode=mode, index=index),),
    )


def _move_schema(statement: Node) -> Effect:
    what = _object(statement.object_type)
    if not statement.HasField("relation"):
        return Effect(kind=f"ALTER {what} SET SCHEMA")
    own = Target(relation=relation(statement.relation), mode=LockMode.ACCESS_EXCLUSIVE)
    return Effect(kind=f"ALTER {what} SET SCHEMA", targets=(own,))


def _refresh(statement: Node) -> Effect:
    mode = LockMode.EXCLUSIVE if statement.concurrent else LockMode.ACCESS_EXCLUSIVE
    return Effect(
        kind="REFRESH MATERIALIZED VIEW" + (" CONCURRENTLY" if statement.concurrent else ""),
        targets=(Target(relation=relation(statement.relation), mode=mode),),
        rewrites=not statement.concurrent,
    )


def _reindex(statement: Node) -> Effect:
    concurrent = option(statement.params, "concurrently")
    what = str(ReindexObjectType.Name(statement.kind)).removeprefix("REINDEX_OBJECT_")
    single = what in {"INDEX", "TABLE"}
    targets: tuple[Target, ...] = ()
    if single:
        index = what == "INDEX"
        # The table itself is only closed to writers; each index is closed to everybody.
        mode = LockMode.ACCESS_EXCLUSIVE if index else LockMode.SHARE
        if concurrent:
            mode = LockMode.SHARE_UPDATE_EXCLUSIVE
        targets = (Target(relation=relation(statement.relation), mode=mode, index=index),)
    return Effect(
        kind=f"REINDEX {what}" + (" CONCURRENTLY" if concurrent else ""),
        targets=targets,
        transactional=single and not concurrent,
        scans=True,
        opaque=not single,
    )


def _vacuum(statement: Node) -> Effect:
    full = statement.is_vacuumcmd and option(statement.options, "full")
    kind = "VACUUM FULL" if full else "VACUUM" if statement.is_vacuumcmd else "ANALYZE"
    mode = LockMode.ACCESS_EXCLUSIVE if full else LockMode.SHARE_UPDATE_EXCLUSIVE
    return Effect(
        kind=kind,
        targets=tuple(
            Target(relation=relation(item.vacuum_relation.relation), mode=mode)
            for item in statement.rels
        ),
        transactional=not statement.is_vacuumcmd,
        rewrites=bool(full),
        scans=True,
        opaque=not statement.rels,
    )


def _cluster(statement: Node) -> Effect:
    named = statement.HasField("relation")
    targets: tuple[Target, ...] = ()
    if named:
        targets = (Target(relation=relation(statement.relation), mode=LockMode.ACCESS_EXCLUSIVE),)
    return Effect(
        kind="CLUSTER", targets=targets, transactional=named, rewrites=True, opaque=not named
    )


def _sequence(statement: Node) -> Effect:
    own = Target(relation=relation(statement.sequence), mode=LockMode.SHARE_ROW_EXCLUSIVE)
    return Effect(kind="ALTER SEQUENCE", targets=(own,))


HANDLERS: dict[str, Callable[..., Effect]] = {
    "drop_stmt": _drop,
    "rename_stmt": _rename,
    "alter_object_schema_stmt": _move_schema,
    "refresh_mat_view_stmt": _refresh,
    "reindex_stmt": _reindex,
    "vacuum_stmt": _vacuum,
    "cluster_stmt": _cluster,
    "alter_seq_stmt": _sequence,
}
