"""Statements that have no place in a migration file, and why."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import postgast
from postgast.pg_query_pb2 import TransactionStmtKind

from changeover.migrations.names import option

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgast.pg_query_pb2 import Node

LEDGER_SCHEMA = "changeover"
PROVISIONED = {
    "createdb_stmt": "CREATE DATABASE",
    "dropdb_stmt": "DROP DATABASE",
    "alter_database_stmt": "ALTER DATABASE",
    "alter_database_set_stmt": "ALTER DATABASE",
    "alter_database_refresh_coll_stmt": "ALTER DATABASE",
    "create_table_space_stmt": "CREATE TABLESPACE",
    "drop_table_space_stmt": "DROP TABLESPACE",
    "alter_table_space_options_stmt": "ALTER TABLESPACE",
    "alter_system_stmt": "ALTER SYSTEM",
    "create_subscription_stmt": "CREATE SUBSCRIPTION",
    "alter_subscription_stmt": "ALTER SUBSCRIPTION",
    "drop_subscription_stmt": "DROP SUBSCRIPTION",
}
SESSION_BOUND = {
    "listen_stmt": "LISTEN",
    "unlisten_stmt": "UNLISTEN",
    "discard_stmt": "DISCARD",
    "load_stmt": "LOAD",
    "prepare_stmt": "PREPARE",
    "execute_stmt": "EXECUTE",
    "deallocate_stmt": "DEALLOCATE",
    "declare_cursor_stmt": "DECLARE CURSOR",
    "fetch_stmt": "FETCH",
    "close_portal_stmt": "CLOSE",
    "check_point_stmt": "CHECKPOINT",
}
GUARDED = {
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
    "application_name",
    "role",
    "session_authorization",
    "transaction_isolation",
    "transaction_read_only",
    "transaction",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why a statement is refused, and what to write instead."""

    sentence: str
    hint: str


def refusal(node: Node) -> Refusal | None:
    """Return why this statement may not stand in a migration, or None when it may."""
    kind = str(node.WhichOneof("node"))
    statement = getattr(node, kind)
    if kind == "transaction_stmt":
        words = TransactionStmtKind.Name(statement.kind).removeprefix("TRANS_STMT_")
        return Refusal(
            f"{words.replace('_', ' ')} would cut the ledger's row from the change it records",
            "remove it: the runner opens and commits each migration's transaction",
        )
    if kind in PROVISIONED:
        return Refusal(
            f"{PROVISIONED[kind]} reaches beyond the application's database",
            "give it to the postgresql role, and run `changeover provision`",
        )
    if kind in SESSION_BOUND:
        return Refusal(
            f"{SESSION_BOUND[kind]} only means something within one session",
            "write the statement it stands for",
        )
    return _by_content(kind, statement)


def _by_content(kind: str, statement: Node) -> Refusal | None:
    if rule := CONTENT_RULES.get(kind):
        found = rule(statement)
        if found:
            return found
    if any(
        type(part).__name__ == "RangeVar" and part.schemaname == LEDGER_SCHEMA
        for _, part in postgast.walk(statement)
    ):
        return Refusal(f"the schema {LEDGER_SCHEMA} holds the ledger", "leave it to the runner")
    return None


def _copy(statement: Node) -> Refusal:
    where = "a file of the database host" if statement.filename else "a stream nobody feeds here"
    return Refusal(f"COPY moves rows through {where}", "write the rows as INSERT")


def _set(statement: Node) -> Refusal | None:
    if statement.name and statement.name.lower() not in GUARDED:
        return None
    return Refusal(
        f"SET {statement.name or 'ALL'} would undo the runner's own guard",
        "remove it: locks, time and role of the session are the runner's",
    )


def _index(statement: Node) -> Refusal | None:
    if not statement.concurrent or statement.idxname:
        return None
    return Refusal(
        "a concurrent index without a name cannot be found again after an interruption",
        "name it: CREATE INDEX CONCURRENTLY name ON ...",
    )


def _reindex(statement: Node) -> Refusal | None:
    if statement.HasField("relation"):
        return None
    return Refusal("REINDEX of a schema or database has no end in sight", "name the tables")


def _vacuum(statement: Node) -> Refusal | None:
    if not option(statement.options, "full"):
        return None
    return Refusal(
        "VACUUM FULL shuts readers out for as long as it copies the table",
        "leave the space to autovacuum",
    )


CONTENT_RULES: dict[str, Callable[..., Refusal | None]] = {
    "copy_stmt": _copy,
    "variable_set_stmt": _set,
    "index_stmt": _index,
    "reindex_stmt": _reindex,
    "vacuum_stmt": _vacuum,
}
