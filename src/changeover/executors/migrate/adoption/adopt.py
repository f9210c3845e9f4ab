"""Adopt a database whose schema was there before its ledger: prove it, and write that down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import psycopg

from changeover.executors.migrate import ledger, turn_failures
from changeover.executors.migrate.adoption import baseline
from changeover.executors.migrate.adoption.proof import prove
from changeover.executors.migrate.server import facts
from changeover.executors.migrate.session import LOOK, answering, connect
from changeover.executors.migrate.turn import DEADLINE_SECONDS, take_turn

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from changeover.database import Database
    from changeover.executors.migrate.adoption.baseline import Baseline
    from changeover.executors.migrate.adoption.proof import Proof
    from changeover.executors.migrate.limits import Limits
    from changeover.migrations.records import MigrationFolder


def examine(
    database: Database,
    folders: Sequence[MigrationFolder],
    *,
    trust: Collection[str] = (),
    release: str = "",
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Proof:
    """Return what `adopt` would write, changing nothing; raises what it would, too.

    Args:
        database: Where, as the owner role.
        folders: The migrations of the release and of those it grew from, oldest release first.
        trust: What a person answers for.
        release: The version that is adopted; the last folder's unless given.
        deadline_seconds: How long a verify query may take.

    Raises:
        ChangeoverError: One of the leaves in `proof` and `failures`.
    """
    with connect(database, LOOK) as connection, answering(connection, deadline_seconds):
        facts(connection, database)
        limit = f"{deadline_seconds * 1000:.0f}ms"
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (limit,))
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL transaction_read_only = on")
                return prove(connection, database, folders, trust, release or _last(folders))
        except psycopg.Error as error:
            raise turn_failures.untold(database, error) from error


def adopt(
    database: Database,
    folders: Sequence[MigrationFolder],
    *,
    trust: Collection[str] = (),
    release: str = "",
    **limits: Unpack[Limits],
) -> Proof:
    """Write every migration that the database shows as applied, in the transaction that proves it.

    Takes what `examine` does, and the limits of a turn.

    Raises:
        ChangeoverError: One of the leaves in `proof` and `failures`; no migration is in the ledger then.
    """
    with take_turn(database, **limits) as turn:

        def transaction() -> Proof:
            with turn.work.transaction():
                turn.limit()
                ledger.check(turn.work, turn.mandate)
                proof = prove(turn.work, database, folders, trust, release or _last(folders))
                baseline.write(turn.work, turn.mandate, proof)
                return proof

        return turn.retried(transaction, "adopt")


def _last(folders: Sequence[MigrationFolder]) -> str:
    return folders[-1].release if folders else ""


def began(database: Database) -> Baseline | None:
    """Return where the ledger began; None where it has run every migration itself."""
    with connect(database, LOOK) as connection:
        return baseline.read(connection) if ledger.exists(connection) else None
