"""What a transaction did, written to the ledger in one message when all of it is done."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.executors.migrate.ledger import Mandate
    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Statement

# The rows of both tables are one statement: their foreign key is checked at its end.
RECORD = """
    WITH migration AS (
        INSERT INTO changeover.migration
            (id, release, phase, checksum, state, statements, fence, runner, started_at)
        VALUES (%(id)s, %(release)s, %(phase)s, %(checksum)s, %(state)s, %(statements)s, %(fence)s,
            %(runner)s, now())
        ON CONFLICT (id) DO UPDATE SET checksum = excluded.checksum, state = excluded.state,
            statements = excluded.statements, fence = excluded.fence, runner = excluded.runner,
            changed_at = clock_timestamp())
    INSERT INTO changeover.statement
        (migration_id, direction, number, sql, state, how, milliseconds, fence, begun_at, done_at)
    SELECT %(id)s, %(direction)s, number, sql, 'done', 'executed', milliseconds, %(fence)s,
        statement_timestamp() - make_interval(secs => ago + milliseconds / 1000),
        statement_timestamp() - make_interval(secs => ago)
    FROM unnest(%(numbers)s::integer[], %(texts)s::text[], %(milliseconds)s::float8[],
        %(ago)s::float8[]) AS done (number, sql, milliseconds, ago)
    ON CONFLICT (migration_id, direction, number) DO UPDATE SET state = 'done',
        how = excluded.how, milliseconds = excluded.milliseconds, fence = excluded.fence,
        done_at = excluded.done_at
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A statement that was executed in the open transaction.

    Args:
        statement: Which one.
        milliseconds: How long it ran.
        ended: When, by this process's monotonic clock.
    """

    statement: Statement
    milliseconds: float
    ended: float


def record(
    connection: Connection, move: Move, mandate: Mandate, state: str, entries: Sequence[Entry]
) -> None:
    """Write the rows of a migration and of its statements, in the transaction that ran them.

    Args:
        connection: The session that holds the transaction.
        move: The migration and its direction.
        mandate: The runner's right to write.
        state: What the migration is with these statements done.
        entries: The statements, in order.
    """
    migration = move.migration
    now = time.monotonic()
    connection.execute(
        RECORD,
        {
            "id": migration.id,
            "release": migration.release,
            "phase": migration.phase,
            "checksum": migration.checksum,
            "state": state,
            "statements": len(migration.statements),
            "fence": mandate.fence,
            "runner": mandate.runner,
            "direction": move.direction,
            "numbers": [entry.statement.number for entry in entries],
            "texts": [entry.statement.sql for entry in entries],
            "milliseconds": [entry.milliseconds for entry in entries],
            "ago": [now - entry.ended for entry in entries],
        },
    )
