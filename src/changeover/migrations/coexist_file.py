"""What the old version runs beside a migration: read from the file that declares it, and held to what is forbidden.

A rehearsal runs it as the app's role before and after the migration. So it has to be what such a role
runs, it is rolled back, and a table that it does not write to it says nothing of.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import postgast

from changeover.errors import InvalidInput
from changeover.migrations import narrowing, statements
from changeover.migrations.freshness import whole
from changeover.migrations.names import relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from postgast.pg_query_pb2 import Node

    from changeover.migrations.records import Migration, MigrationFolder, Relation, Statement

SUFFIX = ".coexist.sql"
ALLOWED = {
    *("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"),
    *("SET", "SHOW", "SET CONSTRAINTS", "LOCK TABLE"),
}
WRITING = {"InsertStmt", "UpdateStmt", "MergeStmt"}


class NotOfTheOldVersion(InvalidInput):
    """A coexist file holds what no old version runs within one transaction."""


def read(text: str, path: Path) -> tuple[Statement, ...]:
    """Return the statements of a coexist file.

    Raises:
        SqlUnreadable: It is not SQL.
        StatementRefused: A statement may not stand beside migrations at all, such as ``COMMIT``.
        NotOfTheOldVersion: It changes definitions, has parameters, or there is no statement.
    """
    found = statements.read(text, path)
    if not found:
        raise NotOfTheOldVersion(
            f"{path} holds no statement",
            hint="write what the old version reads and writes, or remove the file",
        )
    for statement in found:
        if statement.effect.kind not in ALLOWED:
            raise NotOfTheOldVersion(
                f"{path}:{statement.line} is {statement.effect.kind}, which no version runs in its"
                " daily work, or whose text does not tell what it does",
                hint="keep what the old version reads and writes: SELECT, INSERT, UPDATE, DELETE, MERGE,"
                " and the settings of its sessions",
            )
        if any(type(node).__name__ == "ParamRef" for node in _nodes(statement)):
            raise NotOfTheOldVersion(
                f"{path}:{statement.line} has parameters, and nobody gives them values",
                hint="write values in place of $1, $2",
            )
    return found


def unproved(migrations: Iterable[Migration]) -> Mapping[str, tuple[str, ...]]:
    """Return by id the tables that a coexist file writes nothing to, although its migration forbids writes there.

    A migration that forbids nothing, or has no such file, is not named; an empty tuple leaves nothing open.
    """
    found: dict[str, dict[str, None]] = {}
    for migration, _, _, table in narrowing.statements(migrations):
        if migration.coexist:
            left = found.setdefault(migration.id, {})
            if whole(table) not in _written(migration.coexist):
                left[table.dotted] = None
    return {name: tuple(tables) for name, tables in found.items()}


def digests(folders: Iterable[MigrationFolder]) -> dict[str, str]:
    """Return by id the sha256 of what is tried of each coexist file, hexadecimal.

    That is its statements, and all that its release does before `contract`: the old version has to live
    with the whole of it.
    """
    found: dict[str, str] = {}
    for folder in folders:
        known = [each for each in folder.migrations if each.phase != "contract"]
        ground = [each.sql_checksum or each.checksum for each in known]
        for each in known:
            if each.coexist:
                parts = (*ground, each.id, *(one.digest for one in each.coexist))
                found[each.id] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return found


def name(migration: Migration) -> str:
    """Return the name of a migration's coexist file."""
    return migration.path.with_suffix(SUFFIX).name


def _written(coexist: Sequence[Statement]) -> set[Relation]:
    return {
        whole(relation(node.relation))
        for statement in coexist
        for node in _nodes(statement)
        if type(node).__name__ in WRITING
    }


def _nodes(statement: Statement) -> Iterator[Node]:
    for _, node in postgast.walk(postgast.parse(statement.sql)):
        yield node
