"""Backfills that cannot run, found before anything runs: by the catalog as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors.migrate.backfill.keyset import Keyset
from changeover.executors.migrate.session import LOOK, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.database import Database
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Migration


def foresee(database: Database, pending: Sequence[Migration]) -> None:
    """Ask the catalog whether each pending backfill can walk by its key; raises as `check_keys` does."""
    if any(migration.batch for migration in pending):
        with connect(database, LOOK) as connection:
            check_keys(connection, pending)


def check_keys(connection: Connection, pending: Sequence[Migration]) -> None:
    """Refuse a backfill that cannot walk by its key, unless what runs before it may change that.

    Args:
        connection: A session in the database.
        pending: All that is still to run, in order.

    Raises:
        KeyUnusable: The column is not there, may be null, or has no unique index of its own.
    """
    changed: set[str] = set()
    for migration in pending:
        if migration.batch and migration.batch.table.name not in changed:
            Keyset(migration.batch).check(connection, migration.path)
        for statement in migration.statements:
            effect = statement.effect
            if effect.opaque or effect.kind.endswith("RENAME"):
                return  # from here on any table may be another one
            changed |= {target.relation.name for target in effect.targets}
            changed |= {relation.name for relation in effect.creates}
