"""Read and write the ledger: the schema ``changeover`` inside the application's database."""

from __future__ import annotations

import dataclasses
from importlib import resources
from typing import TYPE_CHECKING, Literal

import psycopg

from changeover.executors.migrate.failures import LedgerUnusable, RunnerFenced
from changeover.executors.migrate.session import row, rows

if TYPE_CHECKING:
    import datetime as dt

    from changeover.database import Database
    from changeover.executors.migrate.session import Connection, Row
    from changeover.migrations.records import Migration, Statement

FORMAT = "ledger format 1"
HOLDER = "SELECT number, runner FROM changeover.fence FOR SHARE"
Direction = Literal["apply", "revert"]
How = Literal["executed", "adopted", "healed"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """The right of one runner to write: its deployment's fencing number and its own name."""

    fence: int
    runner: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """A statement as the ledger knows it."""

    number: int
    sql: str
    state: str
    before: tuple[str, ...]
    cursor: str | None
    rows_done: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRow:
    """A migration as the ledger knows it."""

    id: str
    position: int
    release: str
    phase: str
    checksum: str
    state: str
    started_at: dt.datetime
    changed_at: dt.datetime


def exists(connection: Connection) -> bool:
    """Tell whether this database has a ledger."""
    found = row(connection, "SELECT to_regclass('changeover.statement') IS NOT NULL")
    return bool(found and found[0])


def prepare(connection: Connection, database: Database) -> None:
    """Make the ledger where there is none; the caller holds the runner lock.

    Raises:
        LedgerUnusable: The role may not make it, or a newer version wrote it.
    """
    if exists(connection):
        comment = row(connection, "SELECT obj_description('changeover'::regnamespace)")
        if not comment or FORMAT not in str(comment[0]):
            raise LedgerUnusable(
                f"the ledger of {database.name} has a format this version does not know",
                host=database.shown_host,
                cause=str(comment and comment[0]),
                hint="use the version of changeover that wrote it, or a later one",
            )
        return
    try:
        with connection.transaction():
            define(connection, resources.files(__package__).joinpath("ledger.sql").read_bytes())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.DuplicateSchema) as error:
        raise LedgerUnusable(
            f"{database.user} cannot make the ledger in {database.name}",
            host=database.shown_host,
            cause=str(error).strip(),
            hint="make that role the owner of the database: `changeover provision`",
        ) from error


def define(connection: Connection, statements: bytes) -> None:
    """Make tables of the ledger, in the open transaction; they are their owner's alone."""
    connection.execute(statements)
    connection.execute(resources.files(__package__).joinpath("closed.sql").read_bytes())


def migrations(connection: Connection) -> list[MigrationRow]:
    """Return every migration of the ledger, in the order they were begun."""
    query = """
        SELECT id, position, release, phase, checksum, state, started_at, changed_at
        FROM changeover.migration ORDER BY position
    """
    names = tuple(MigrationRow.__slots__)
    return [
        MigrationRow(**dict(zip(names, found, strict=True))) for found in rows(connection, query)
    ]


def statements(
    connection: Connection, migration_id: str, direction: Direction
) -> dict[int, StatementRow]:
    """Return what is recorded of a migration's statements, by their number."""
    query = """
        SELECT number, sql, state, before, cursor, rows_done
        FROM changeover.statement WHERE migration_id = %s AND direction = %s
    """
    return {
        number: StatementRow(
            number=number, sql=sql, state=state, before=tuple(before), cursor=cursor, rows_done=done
        )
        for number, sql, state, before, cursor, done in rows(
            connection, query, (migration_id, direction)
        )
    }


def done_counts(connection: Connection) -> dict[str, int]:
    """Return how many statements of each migration are done."""
    query = """
        SELECT migration_id, count(*) FROM changeover.statement
        WHERE state = 'done' AND direction = 'apply' GROUP BY 1
    """
    return {str(name): int(count) for name, count in rows(connection, query)}


def take(connection: Connection, mandate: Mandate, *, newest: bool) -> Mandate:
    """Record this runner as the one that may write, and return its mandate.

    Args:
        connection: The session that holds the runner lock.
        mandate: Fencing number and name.
        newest: Keep the highest number known instead of comparing with it.

    Raises:
        RunnerFenced: A deployment with a higher number was here.
    """
    query = """
        UPDATE changeover.fence
        SET number = greatest(number, %s), runner = %s, taken_at = clock_timestamp()
        WHERE number <= %s OR %s RETURNING number
    """
    values = (mandate.fence, mandate.runner, mandate.fence, newest)
    found = row(connection, query, values)
    if found is None:
        raise _fenced(mandate, highest(connection))
    return dataclasses.replace(mandate, fence=int(found[0]))


def highest(connection: Connection) -> int:
    """Return the highest fencing number known."""
    known = row(connection, "SELECT number FROM changeover.fence")
    return int(known[0]) if known else 0


def check(connection: Connection, mandate: Mandate) -> None:
    """Refuse when another runner took over; holds the row until this transaction ends.

    Raises:
        RunnerFenced: The ledger names another runner.
    """
    judge(row(connection, HOLDER), mandate)


def judge(holder: Row | None, mandate: Mandate) -> None:
    """Refuse when ``holder``, the answer to `HOLDER`, is not this runner; raises as `check` does."""
    if holder != (mandate.fence, mandate.runner):
        raise _fenced(mandate, holder[0] if holder else 0)


def _fenced(mandate: Mandate, known: int) -> RunnerFenced:
    return RunnerFenced(
        f"the ledger knows a newer runner (fencing number {known}) than this one ({mandate.fence})",
        hint="see who acts: `changeover status`; where nobody does, a new deployment takes a number"
        " beyond the ledger's",
    )


def begin(connection: Connection, migration: Migration, mandate: Mandate, state: str) -> None:
    """Write the migration's row, or bring it to ``state``."""
    connection.execute(
        """
        INSERT INTO changeover.migration
            (id, release, phase, checksum, state, statements, fence, runner)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (id) DO UPDATE SET checksum = excluded.checksum, state = excluded.state,
            statements = excluded.statements, fence = excluded.fence, runner = excluded.runner,
            changed_at = clock_timestamp()
        """,
        (
            *(migration.id, migration.release, migration.phase, migration.checksum, state),
            *(len(migration.statements), mandate.fence, mandate.runner),
        ),
    )


def renew(connection: Connection, migration_id: str, mandate: Mandate) -> None:
    """Have a migration that was undone come after all that was applied meanwhile: it runs again."""
    with connection.transaction():
        check(connection, mandate)
        connection.execute(
            "UPDATE changeover.migration SET position = DEFAULT, started_at = clock_timestamp()"
            " WHERE id = %s",
            (migration_id,),
        )


def forget_statements(connection: Connection, migration_id: str) -> None:
    """Remove the statement rows of a migration that was undone."""
    connection.execute("DELETE FROM changeover.statement WHERE migration_id = %s", (migration_id,))


def intend(
    connection: Connection,
    migration: Migration,
    statement: Statement,
    direction: Direction,
    mandate: Mandate,
    before: tuple[str, ...] = (),
) -> None:
    """Write that a statement is about to run; an older intent keeps what it saw before."""
    connection.execute(
        """
        INSERT INTO changeover.statement
            (migration_id, direction, number, sql, state, before, fence)
        VALUES (%s, %s, %s, %s, 'intended', %s, %s)
        ON CONFLICT (migration_id, direction, number) DO UPDATE SET fence = excluded.fence
        """,
        (
            *(migration.id, direction, statement.number, statement.sql, list(before)),
            mandate.fence,
        ),
    )


def done(
    connection: Connection,
    migration: Migration,
    statement: Statement,
    direction: Direction,
    mandate: Mandate,
    *,
    how: How,
    milliseconds: float,
) -> None:
    """Write that a statement is done."""
    connection.execute(
        """
        INSERT INTO changeover.statement
            (migration_id, direction, number, sql, state, how, milliseconds, fence, done_at)
        VALUES (%s, %s, %s, %s, 'done', %s, %s, %s, clock_timestamp())
        ON CONFLICT (migration_id, direction, number) DO UPDATE SET state = 'done',
            how = excluded.how, milliseconds = excluded.milliseconds, fence = excluded.fence,
            done_at = excluded.done_at
        """,
        (
            *(migration.id, direction, statement.number, statement.sql),
            *(how, milliseconds, mandate.fence),
        ),
    )


def advance(connection: Connection, migration_id: str, cursor: str, changed: int) -> None:
    """Move a backfill's cursor in the transaction of its batch."""
    connection.execute(
        """
        UPDATE changeover.statement SET cursor = %s, rows_done = rows_done + %s
        WHERE migration_id = %s AND direction = 'apply' AND number = 1
        """,
        (cursor, changed, migration_id),
    )


def retract(
    connection: Connection, migration: Migration, statement: Statement, direction: Direction
) -> None:
    """Remove the intent of a statement that left nothing behind."""
    connection.execute(
        """
        DELETE FROM changeover.statement
        WHERE migration_id = %s AND direction = %s AND number = %s AND state = 'intended'
        """,
        (migration.id, direction, statement.number),
    )
