"""What is dangerous in a single statement on a table that is in use."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import postgast

from changeover.migrations.alter_table import constraint_name, form_name
from changeover.migrations.names import relation
from changeover.migrations.records import LockMode, Relation
from changeover.migrations.volatility import computed_for_each_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgast.pg_query_pb2 import AlterTableCmd, ColumnDef, Constraint, Node

    from changeover.migrations.records import Effect, Phase, Statement

VALIDATE = "add it NOT VALID, and VALIDATE CONSTRAINT in the next migration"
BUILD_FIRST = (
    "build the index with CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT USING INDEX"
)
VIEWS_GONE = {"DROP VIEW", "DROP MATERIALIZED VIEW"}
TAKING_AWAY = {
    *("TRUNCATE", "DROP TABLE", "DROP FOREIGN TABLE", "DROP SEQUENCE", *VIEWS_GONE),
    *("ALTER TABLE RENAME", "ALTER TABLE RENAME COLUMN", "ALTER TABLE SET SCHEMA"),
    *("ALTER VIEW RENAME", "ALTER VIEW SET SCHEMA", "ALTER SEQUENCE RENAME"),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """What a statement does to those who use its table; none where more than one is meant."""

    rule: str
    severity: Literal["error", "warning", "note"]
    message: str
    hint: str
    relation: Relation | None = None


def of(statement: Statement, phase: Phase, *, batched: bool) -> Iterator[Hazard]:
    """Yield the hazards of one statement.

    Args:
        statement: The statement.
        phase: Which phase its file is of.
        batched: Whether it is run for one batch of keys after the other.
    """
    node = postgast.parse(statement.sql).stmts[0].stmt
    kind = str(node.WhichOneof("node"))
    tree = getattr(node, kind)
    if kind == "alter_table_stmt":
        for command in tree.cmds:
            yield from _form(relation(tree.relation), command.alter_table_cmd, phase)
    elif kind == "create_stmt":
        yield from _new_table(tree)
    elif kind in {"update_stmt", "delete_stmt"}:
        yield from _many_rows(statement.effect, tree, at_once=phase == "backfill" and not batched)
    else:
        yield from _other(statement.effect, phase)


def _new_table(tree: Node) -> Iterator[Hazard]:
    # A foreign key of a new table scans nothing; it locks the referenced table for a moment.
    for parent in tree.inh_relations:
        if tree.HasField("partbound"):
            yield Hazard(
                rule="partition-of",
                severity="warning",
                message="CREATE TABLE ... PARTITION OF shuts readers of the parent out",
                hint="create the table alone, then ALTER TABLE ... ATTACH PARTITION",
                relation=relation(parent.range_var),
            )


def _many_rows(effect: Effect, tree: Node, *, at_once: bool) -> Iterator[Hazard]:
    if tree.HasField("where_clause"):
        if at_once:
            yield Hazard(
                rule="backfill-at-once",
                severity="warning",
                message="every row that it finds is locked until its transaction ends",
                hint="walk the table: `-- changeover: batch table=NAME key=COLUMN`, and WHERE key"
                " BETWEEN $1 AND $2",
                relation=effect.targets[0].relation,
            )
        return
    yield Hazard(
        rule="whole-table-write",
        severity="warning",
        message=f"{effect.kind} without WHERE locks every row until its transaction ends",
        hint="move it to backfill/ in batches: `-- changeover: batch table=NAME key=COLUMN`",
        relation=effect.targets[0].relation,
    )


def _other(effect: Effect, phase: Phase) -> Iterator[Hazard]:
    if not effect.targets:
        return
    own = effect.targets[0].relation
    kind = effect.kind
    found: tuple[str, Literal["error", "warning"], str, str] | None = None
    if kind == "CREATE INDEX":
        found = ("index-not-concurrent", "error", "writers wait", "CREATE INDEX CONCURRENTLY")
    elif kind == "DROP INDEX":
        found = (
            *("drop-index-not-concurrent", "warning", "readers and writers wait"),
            "DROP INDEX CONCURRENTLY",
        )
    elif kind.startswith("REINDEX") and effect.transactional:
        found = (
            *("reindex-not-concurrent", "error", "readers and writers wait"),
            "REINDEX ... CONCURRENTLY",
        )
    elif kind in {"CLUSTER", "REFRESH MATERIALIZED VIEW"}:
        found = (
            *("rewrites-shut", "error", "readers and writers wait while it is written anew"),
            "REFRESH ... CONCURRENTLY" if kind != "CLUSTER" else "leave it out",
        )
    elif kind in TAKING_AWAY:
        if phase != "contract":
            yield _breaks(own, f"{kind} takes away what the old version uses")
        return
    elif kind == "LOCK TABLE" and effect.targets[0].mode >= LockMode.SHARE:
        found = ("explicit-lock", "warning", effect.targets[0].mode.who_waits, "leave it out")
    if found:
        rule, severity, harm, instead = found
        yield Hazard(
            rule=rule,
            severity=severity,
            message=f"{kind} on {own.dotted}: {harm}",
            hint=f"write {instead}" if instead.isupper() or "CONC" in instead else instead,
            relation=own,
        )


def _breaks(own: Relation, message: str) -> Hazard:
    return Hazard(
        rule="breaks-old-version",
        severity="error",
        message=message,
        hint="move it to contract/",
        relation=own,
    )


def _form(own: Relation, command: AlterTableCmd, phase: Phase) -> Iterator[Hazard]:
    name = form_name(command)
    definition = getattr(command, "def")
    if name == "AT_AddColumn":
        yield from _new_column(own, definition.column_def)
    elif name == "AT_AddConstraint":
        yield from _new_constraint(own, definition.constraint)
    elif name == "AT_AlterColumnType":
        yield Hazard(
            rule="column-type-change",
            severity="error",
            message=f"changing the type of {own.dotted}.{command.name} may write the table anew,"
            " with readers and writers shut out",
            hint="add a column of the new type, backfill it, and drop the old one in contract/",
            relation=own,
        )
    elif name == "AT_SetNotNull":
        yield Hazard(
            rule="set-not-null",
            severity="warning",
            message=f"SET NOT NULL on {own.dotted}.{command.name} reads every row with readers and"
            " writers shut out, unless a valid CHECK proves it",
            hint="add CHECK (... IS NOT NULL) NOT VALID, validate it, then SET NOT NULL",
            relation=own,
        )
    elif name == "AT_DropColumn" and phase != "contract":
        yield _breaks(own, f"DROP COLUMN {command.name} takes away what the old version uses")
    elif name in {"AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace", "AT_SetAccessMethod"}:
        yield Hazard(
            rule="rewrites-shut",
            severity="error",
            message=f"{own.dotted} is written anew, with readers and writers shut out",
            hint="plan a maintenance window for it",
            relation=own,
        )


def _new_column(own: Relation, column: ColumnDef) -> Iterator[Hazard]:
    kinds = {constraint_name(item.constraint) for item in column.constraints}
    filled = kinds & {"CONSTR_DEFAULT", "CONSTR_GENERATED", "CONSTR_IDENTITY"}
    where = f"{own.dotted}.{column.colname}"
    rewrites = computed_for_each_row(column)
    if kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} and not filled and rewrites is False:
        yield Hazard(
            rule="not-null-without-default",
            severity="error",
            message=f"{where} is NOT NULL without a default: it fails where there are rows, and"
            " the old version cannot insert",
            hint="give it a default, or add it as nullable",
            relation=own,
        )
    if rewrites is not False:
        yield Hazard(
            rule="computed-default",
            severity="error" if rewrites else "warning",
            message=f"{where} {'is' if rewrites else 'may be'} computed for each row: the table is"
            " written anew, with readers and writers shut out",
            hint="add the column without a default, set the default, and backfill old rows",
            relation=own,
        )
    for item in column.constraints:
        builds = constraint_name(item.constraint) in {"CONSTR_UNIQUE", "CONSTR_PRIMARY"}
        # Without a default every new value is NULL, and there is nothing to compare.
        if builds or filled:
            yield from _new_constraint(own, item.constraint)


def _new_constraint(own: Relation, constraint: Constraint) -> Iterator[Hazard]:
    name = constraint_name(constraint)
    label = constraint.conname or "a constraint"
    if name in {"CONSTR_FOREIGN", "CONSTR_CHECK"} and not constraint.skip_validation:
        wait = (
            "writers of both tables wait"
            if name == "CONSTR_FOREIGN"
            else "readers and writers wait"
        )
        yield Hazard(
            rule="constraint-validated-at-once",
            severity="warning",
            message=f"{label} on {own.dotted} reads every row at once: {wait}",
            hint=VALIDATE,
            relation=own,
        )
    if name in {"CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_EXCLUSION"} and not constraint.indexname:
        yield Hazard(
            rule="constraint-builds-index",
            severity="error",
            message=f"{label} on {own.dotted} builds its index with readers and writers shut out",
            hint=BUILD_FIRST,
            relation=own,
        )
