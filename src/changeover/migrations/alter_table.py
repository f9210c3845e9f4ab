"""What each form of ALTER TABLE locks, rewrites and scans.

The modes are those of PostgreSQL's documentation: the ALTER TABLE page and table 13.3.1. A form that
is not listed takes ACCESS EXCLUSIVE, as the page says for every form without a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast
from postgast.pg_query_pb2 import AlterTableType, ConstrType, ObjectType

from changeover.migrations.names import relation
from changeover.migrations.records import Effect, LockMode, Target
from changeover.migrations.volatility import computed_for_each_row

if TYPE_CHECKING:
    from postgast.pg_query_pb2 import AlterTableCmd, AlterTableStmt, ColumnDef, Constraint

WEAKER = {
    "AT_SetStatistics": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_SetOptions": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_ResetOptions": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_ValidateConstraint": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_ClusterOn": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_DropCluster": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_SetRelOptions": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_ResetRelOptions": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_AttachPartition": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_DetachPartitionFinalize": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_EnableTrig": LockMode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableAlwaysTrig": LockMode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableReplicaTrig": LockMode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableTrigAll": LockMode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableTrigUser": LockMode.SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrig": LockMode.SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrigAll": LockMode.SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrigUser": LockMode.SHARE_ROW_EXCLUSIVE,
}
REWRITING = {"AT_SetLogged", "AT_SetUnLogged", "AT_SetAccessMethod", "AT_SetTableSpace"}
SCANNING = {"AT_SetNotNull", "AT_ValidateConstraint"}
PARTITION_MODES = {
    "AT_AttachPartition": LockMode.ACCESS_EXCLUSIVE,
    "AT_DetachPartition": LockMode.ACCESS_EXCLUSIVE,
    "AT_DetachPartitionFinalize": LockMode.ACCESS_EXCLUSIVE,
    "AT_AddInherit": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "AT_DropInherit": LockMode.ACCESS_SHARE,
}
INDEX_BUILDING = {"CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_EXCLUSION"}


def effect(statement: AlterTableStmt) -> Effect:
    """Return what an ALTER TABLE (or ALTER INDEX, VIEW, SEQUENCE) with these forms means."""
    own = relation(statement.relation)
    parts = [_form(command.alter_table_cmd) for command in statement.cmds]
    index = statement.objtype == ObjectType.Value("OBJECT_INDEX")
    mode = max(part[0] for part in parts)
    others = tuple(target for part in parts for target in part[1])
    rewrites = {part[2] for part in parts}
    return Effect(
        kind=_kind(statement),
        targets=(Target(relation=own, mode=mode, index=index), *others),
        transactional=not any(
            detaches_concurrently(command.alter_table_cmd) for command in statement.cmds
        ),
        rewrites=True if True in rewrites else None if None in rewrites else False,
        scans=any(part[3] for part in parts),
    )


def moved_to_schema(sql: str, schema: str) -> str:
    """Return an ALTER TABLE statement aimed at the table of that name in another schema."""
    parsed = postgast.parse(sql)
    parsed.stmts[0].stmt.alter_table_stmt.relation.schemaname = schema
    return str(postgast.deparse(parsed))


def form_name(command: AlterTableCmd) -> str:
    """Return the form's name in the parser's words, such as ``AT_AddColumn``."""
    return str(AlterTableType.Name(command.subtype))


def constraint_name(constraint: Constraint) -> str:
    """Return the constraint's kind in the parser's words, such as ``CONSTR_CHECK``."""
    return str(ConstrType.Name(constraint.contype))


def detaches_concurrently(command: AlterTableCmd) -> bool:
    """Tell whether it is DETACH PARTITION ... CONCURRENTLY, which no transaction block may hold."""
    return form_name(command) == "AT_DetachPartition" and bool(
        getattr(command, "def").partition_cmd.concurrent
    )


def _form(command: AlterTableCmd) -> tuple[LockMode, tuple[Target, ...], bool | None, bool]:
    """Return ``(mode, other targets, rewrites, scans)`` of one form."""
    name = form_name(command)
    definition = getattr(command, "def")
    if name == "AT_AddConstraint":
        return _constraint(definition.constraint)
    if name == "AT_AddColumn":
        return _column(definition.column_def)
    if name == "AT_AlterColumnType":
        return LockMode.ACCESS_EXCLUSIVE, (), None, False
    if detaches_concurrently(command):
        partition = relation(definition.partition_cmd.name)
        return (
            LockMode.SHARE_UPDATE_EXCLUSIVE,
            (Target(relation=partition, mode=LockMode.ACCESS_EXCLUSIVE),),
            False,
            False,
        )
    others: tuple[Target, ...] = ()
    if name in PARTITION_MODES:
        inherited = name.endswith("Inherit")
        other = definition.range_var if inherited else definition.partition_cmd.name
        others = (Target(relation=relation(other), mode=PARTITION_MODES[name]),)
    mode = WEAKER.get(name, LockMode.ACCESS_EXCLUSIVE)
    return mode, others, name in REWRITING, name in SCANNING


def _constraint(constraint: Constraint) -> tuple[LockMode, tuple[Target, ...], bool | None, bool]:
    name = constraint_name(constraint)
    scans = not constraint.skip_validation and name in {"CONSTR_CHECK", "CONSTR_FOREIGN"}
    if name == "CONSTR_FOREIGN":
        referenced = Target(
            relation=relation(constraint.pktable), mode=LockMode.SHARE_ROW_EXCLUSIVE
        )
        return LockMode.SHARE_ROW_EXCLUSIVE, (referenced,), False, scans
    builds = name in INDEX_BUILDING and not constraint.indexname
    return LockMode.ACCESS_EXCLUSIVE, (), False, scans or builds


def _column(column: ColumnDef) -> tuple[LockMode, tuple[Target, ...], bool | None, bool]:
    others = []
    for item in column.constraints:
        if constraint_name(item.constraint) == "CONSTR_FOREIGN":
            referenced = relation(item.constraint.pktable)
            others.append(Target(relation=referenced, mode=LockMode.SHARE_ROW_EXCLUSIVE))
    return LockMode.ACCESS_EXCLUSIVE, tuple(others), computed_for_each_row(column), False


def _kind(statement: AlterTableStmt) -> str:
    words = {
        ObjectType.Value("OBJECT_INDEX"): "ALTER INDEX",
        ObjectType.Value("OBJECT_VIEW"): "ALTER VIEW",
        ObjectType.Value("OBJECT_SEQUENCE"): "ALTER SEQUENCE",
        ObjectType.Value("OBJECT_MATVIEW"): "ALTER MATERIALIZED VIEW",
        ObjectType.Value("OBJECT_TYPE"): "ALTER TYPE",
    }
    kind = words.get(statement.objtype, "ALTER TABLE")
    if any(detaches_concurrently(command.alter_table_cmd) for command in statement.cmds):
        return "ALTER TABLE DETACH PARTITION CONCURRENTLY"
    return kind
