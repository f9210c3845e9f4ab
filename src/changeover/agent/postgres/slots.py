"""Slots of logical replication: each belongs to a database, and stays with it under its new name.

A slot cannot be made anew at the place in the log that it had. Whatever reads from it gets nothing of
the database that took the name, and the server keeps its log for it.
"""

# ruff: noqa: S608 - the name is quoted

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.postgres.tools import literal

if TYPE_CHECKING:
    from changeover.agent.postgres.session import Session


def found(session: Session, database: str) -> list[str]:
    """Return the names of a database's slots, without those that end with their session."""
    rows = session.rows(
        "SELECT slot_name AS name FROM pg_replication_slots"
        f" WHERE database = {literal(database)} AND NOT temporary ORDER BY 1"
    )
    return [str(row["name"]) for row in rows]
