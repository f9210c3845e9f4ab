"""Remember in the ledger what the old version was seen to run beside a migration."""

from __future__ import annotations

import dataclasses
from importlib import resources
from typing import TYPE_CHECKING

from changeover.executors.migrate import ledger
from changeover.executors.migrate.session import row, rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from changeover.executors.migrate.session import Connection

EXISTS = "SELECT to_regclass('changeover.coexisting') IS NOT NULL"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coexisting:
    """What a rehearsal found of one coexist file.

    Args:
        migration: Id of its migration.
        digest: sha256 of what was tried, as `coexist_file.digests` has it.
        works: Whether it did the same before the migration, after it and at the end.
        role: Who ran it.
        statements: How many there are.
        deployment: The deployment that rehearsed it.
        at: When it was written down; None before it is.
    """

    migration: str
    digest: str
    works: bool
    role: str
    statements: int
    deployment: str
    at: dt.datetime | None = None


def write(connection: Connection, found: Sequence[Coexisting], fence: int) -> None:
    """Write them down in the open transaction; what was known of the same migration is replaced."""
    if not found:
        return
    if row(connection, EXISTS) != (True,):
        file = resources.files(__package__).joinpath("coexisting.sql")
        ledger.define(connection, file.read_bytes())
    for each in found:
        connection.execute(
            """
            INSERT INTO changeover.coexisting (migration_id, digest, works, role, statements,
                deployment, fence)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (migration_id) DO UPDATE SET digest = excluded.digest,
                works = excluded.works, role = excluded.role, statements = excluded.statements,
                deployment = excluded.deployment, fence = excluded.fence, at = clock_timestamp()
            """,
            (
                *(each.migration, each.digest, each.works, each.role, each.statements),
                *(each.deployment, fence),
            ),
        )


def read(connection: Connection) -> list[Coexisting]:
    """Return what is known; nothing where no rehearsal wrote any."""
    if row(connection, EXISTS) != (True,):
        return []
    query = """
        SELECT migration_id, digest, works, role, statements, deployment, at
        FROM changeover.coexisting
    """
    names = tuple(each.name for each in dataclasses.fields(Coexisting))
    return [Coexisting(**dict(zip(names, found, strict=True))) for found in rows(connection, query)]
