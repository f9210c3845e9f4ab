"""Write and read where the ledger of a database began whose schema was there before it."""

from __future__ import annotations

import dataclasses
from importlib import resources
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from changeover.executors.migrate import ledger
from changeover.executors.migrate.adoption.recorded import Recorded
from changeover.executors.migrate.session import row

if TYPE_CHECKING:
    import datetime as dt

    from changeover.executors.migrate.adoption.proof import Proof
    from changeover.executors.migrate.ledger import Mandate
    from changeover.executors.migrate.session import Connection

EXISTS = "SELECT to_regclass('changeover.baseline') IS NOT NULL"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Where the ledger began.

    Args:
        release: The version whose schema the database had.
        trusted: What was taken for true without proof.
        recorded: What other tools had recorded.
        adopted_at: When.
    """

    release: str
    trusted: tuple[str, ...]
    recorded: tuple[Recorded, ...]
    adopted_at: dt.datetime


def read(connection: Connection) -> Baseline | None:
    """Return where the ledger began; None where it has run every migration itself."""
    there = row(connection, EXISTS)
    if not there or not there[0]:
        return None
    found = row(
        connection, "SELECT release, trusted, recorded, adopted_at FROM changeover.baseline"
    )
    if found is None:
        return None
    release, trusted, told, adopted_at = found
    return Baseline(
        release=release,
        trusted=tuple(trusted),
        recorded=tuple(
            Recorded(
                tool=each["tool"],
                table=each["table"],
                applied=tuple(each["applied"]),
                failed=tuple(each["failed"]),
                readable=each["readable"],
            )
            for each in told
        ),
        adopted_at=adopted_at,
    )


def write(connection: Connection, mandate: Mandate, proof: Proof) -> None:
    """Write each migration as applied, and where that is known from, in the open transaction."""
    for migration in proof.standing:
        ledger.begin(connection, migration, mandate, "applied")
        for statement in migration.statements:
            ledger.done(
                connection,
                migration,
                statement,
                "apply",
                mandate,
                how="adopted",
                milliseconds=0,
            )
    there = row(connection, EXISTS)
    if not there or not there[0]:
        ledger.define(
            connection, resources.files(__package__).joinpath("baseline.sql").read_bytes()
        )
    connection.execute(
        """
        INSERT INTO changeover.baseline (release, trusted, recorded, fence, runner)
        VALUES (%s, %s, %s, %s, %s)
        """,
        (
            *(proof.release, list(proof.trusted)),
            Jsonb([dataclasses.asdict(each) for each in proof.recorded]),
            *(mandate.fence, mandate.runner),
        ),
    )
