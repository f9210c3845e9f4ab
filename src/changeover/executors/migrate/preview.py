"""Show what each pending statement would lock, how big what it meets is, and who would wait."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import psycopg

from changeover.executors.migrate import ledger
from changeover.executors.migrate.index_probe import SCRATCH, quoted
from changeover.executors.migrate.reconcile import check_ledger, to_apply
from changeover.executors.migrate.session import LOOK, connect, row
from changeover.migrations.alter_table import moved_to_schema
from changeover.migrations.records import PHASES, Phase

if TYPE_CHECKING:
    from changeover.database import Database
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Migration, MigrationFolder, Statement, Target

# reltuples is -1 for a table that was never vacuumed or analysed.
SIZES = """
    WITH named AS (SELECT to_regclass(%s)::oid AS oid),
    met AS (SELECT coalesce((SELECT indrelid FROM pg_index
                             WHERE indexrelid = (SELECT oid FROM named)),
                            (SELECT oid FROM named)) AS oid)
    SELECT class.oid::regclass::text, class.reltuples::bigint,
           pg_total_relation_size(class.oid),
           class.relkind
    FROM met JOIN pg_class AS class USING (oid)
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TargetPreview:
    """A table that a statement meets.

    Args:
        table: Its name; that of the table when the statement names an index.
        lock: The table-level lock, such as ``ACCESS EXCLUSIVE``.
        who_waits: Who waits while it is held, in words.
        exists: Whether it is there now.
        rows: The planner's estimate; None when the table was never analysed.
        size_bytes: With indexes and TOAST.
    """

    table: str
    lock: str
    who_waits: str
    exists: bool
    rows: int | None
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StatementPreview:
    """One statement that is still to run.

    Args:
        migration: Id of its migration.
        number: Its place in the file.
        line: The line it begins on.
        kind: The command's words.
        sql: Its text.
        transactional: Whether it runs in its migration's transaction.
        rewrites: Whether it writes a table anew; None when that cannot be told.
        scans: Whether it reads every row under its lock.
        opaque: Whether the text does not tell what it locks.
        targets: The tables it meets.
    """

    migration: str
    number: int
    line: int
    kind: str
    sql: str
    transactional: bool
    rewrites: bool | None
    scans: bool
    opaque: bool
    targets: tuple[TargetPreview, ...]

    @property
    def digest(self) -> str:
        """Return the sha256 of its text, hexadecimal, as `Statement.digest` does."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def as_event(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {"type": "statement", **dataclasses.asdict(self)}


def preview(
    database: Database, folder: MigrationFolder, phases: tuple[Phase, ...] = PHASES
) -> tuple[StatementPreview, ...]:
    """Return every statement that `apply` would run, in order; nothing is changed.

    Raises:
        MigrationEdited: As `apply` would.
        MigrationMissing: As `apply` would.
        PhaseSkipped: As `apply` would.
    """
    with connect(database, LOOK) as connection:
        found: list[StatementPreview] = []
        for migration in _pending(connection, database, folder, phases):
            recorded = {}
            if ledger.exists(connection):
                recorded = ledger.statements(connection, migration.id, "apply")
            done = {item.number for item in recorded.values() if item.state == "done"}
            found += [
                _statement(connection, migration, statement)
                for statement in migration.statements
                if statement.number not in done
            ]
    return tuple(found)


def _pending(
    connection: Connection, database: Database, folder: MigrationFolder, phases: tuple[Phase, ...]
) -> list[Migration]:
    known: dict[str, ledger.MigrationRow] = {}
    if ledger.exists(connection):
        known = {found.id: found for found in ledger.migrations(connection)}
    check_ledger(database, folder, known)
    return to_apply(folder, phases, known)


def _statement(
    connection: Connection, migration: Migration, statement: Statement
) -> StatementPreview:
    effect = statement.effect
    targets = tuple(_target(connection, target) for target in effect.targets)
    rewrites = effect.rewrites
    if rewrites is None and len(targets) == 1 and targets[0].exists:
        rewrites = _tried_on_copy(connection, statement)
    return StatementPreview(
        migration=migration.id,
        number=statement.number,
        line=statement.line,
        kind=effect.kind,
        sql=statement.sql,
        transactional=effect.transactional,
        rewrites=rewrites,
        scans=effect.scans,
        opaque=effect.opaque,
        targets=targets,
    )


def _target(connection: Connection, target: Target) -> TargetPreview:
    found = row(connection, SIZES, (quoted(target.relation),))
    name, estimate, size = (found[0], found[1], found[2]) if found else ("", -1, 0)
    return TargetPreview(
        table=name or target.relation.dotted,
        lock=target.mode.label,
        who_waits=target.mode.who_waits,
        exists=found is not None,
        rows=estimate if estimate >= 0 else None,
        size_bytes=size,
    )


def _tried_on_copy(connection: Connection, statement: Statement) -> bool | None:
    """Run an ALTER TABLE on an empty copy, and see whether its file was exchanged; then undo all."""
    table = statement.effect.targets[0].relation
    copy = quoted(dataclasses.replace(table, schema=SCRATCH))
    file = "SELECT pg_relation_filenode(to_regclass(%s))"
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"CREATE SCHEMA {SCRATCH}".encode())
            connection.execute(
                f"CREATE TABLE {copy} (LIKE {quoted(table)} INCLUDING DEFAULTS)".encode()
            )
            before = row(connection, file, (copy,))
            connection.execute(moved_to_schema(statement.sql, SCRATCH).encode())
            after = row(connection, file, (copy,))
    except psycopg.Error:
        return None  # the statement needs more than the copy has
    return before != after
