"""Hold the live data against a release's preconditions, without changing any of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import psycopg

from changeover.executors.migrate.data.checks import SETTINGS
from changeover.executors.migrate.own.turn import FULL
from changeover.executors.migrate.session import ANSWER_SECONDS, LOOK, answering, connect, row
from changeover.migrations.query import one_select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.database import Database
    from changeover.executors.migrate.session import Connection
    from changeover.release import Precondition

State = Literal["holds", "broken", "absent", "empty", "slow", "unknown"]

TOLD = 20
LONGEST = 200
SECONDS = 15
DEADLINE = f"SET LOCAL statement_timeout = '{SECONDS}s'"
CURSOR = "changeover_precondition"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the live data meets one precondition.

    Args:
        precondition: Which one.
        state: It ``holds``, or is ``broken`` by rows; it could not be asked since a table that it
            reads is ``absent``, or it took too long (``slow``), or for another reason (``unknown``).
            ``empty``: no table of it is there, nor a row of any other.
        rows: What breaks it, the first ``TOLD`` rows in words.
        number: How many rows break it.
        said: What the database said where it could not be asked.
    """

    precondition: Precondition
    state: State
    rows: tuple[str, ...] = ()
    number: int = 0
    said: str = ""


class _ColumnUnknown(Exception):
    """What tells a row names a column that the query does not give."""


def answered(database: Database, preconditions: Sequence[Precondition]) -> tuple[Answer, ...]:
    """Ask each precondition, read-only and each in a transaction of its own.

    Raises:
        DatabaseUnreachable, DatabaseRefused, DatabaseFull, DatabaseStarting: We are not let in.
    """
    with connect(database, LOOK) as connection:
        return tuple(_answer(connection, each) for each in preconditions)


def _answer(connection: Connection, precondition: Precondition) -> Answer:
    try:
        # Fetching and counting have a deadline each; this one also ends a server that stands still.
        with (
            answering(connection, ANSWER_SECONDS),
            connection.transaction(force_rollback=True),
        ):
            connection.execute(SETTINGS)
            connection.execute(DEADLINE)
            rows, number = _rows(connection, precondition)
    except psycopg.errors.UndefinedTable as error:
        state: State = "absent" if _full(connection) else "empty"
        return Answer(precondition=precondition, state=state, said=_said(error))
    except psycopg.errors.QueryCanceled as error:
        return Answer(precondition=precondition, state="slow", said=_said(error))
    except (psycopg.Error, _ColumnUnknown) as error:
        return Answer(precondition=precondition, state="unknown", said=_said(error))
    state = "broken" if number else "holds"
    return Answer(precondition=precondition, state=state, rows=rows, number=number)


def _said(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error).strip()


def _full(connection: Connection) -> bool:
    found = row(connection, FULL)
    return bool(found and found[0])


def _rows(connection: Connection, precondition: Precondition) -> tuple[tuple[str, ...], int]:
    """Return the first rows in words, and how many there are; the server counts those not told."""
    query = one_select(precondition.rows).sql
    connection.execute(f"DECLARE {CURSOR} NO SCROLL CURSOR FOR {query}".encode())
    rows = tuple(_told(connection, precondition))
    rest = connection.execute(f"MOVE FORWARD ALL IN {CURSOR}".encode()).rowcount
    return rows, len(rows) + rest


def _told(connection: Connection, precondition: Precondition) -> Iterator[str]:
    result = connection.execute(f"FETCH FORWARD {TOLD} FROM {CURSOR}".encode()).pgresult
    if result is None:
        return
    # As the server writes them: some dates of PostgreSQL are none of Python.
    encoding = connection.info.encoding
    names = [(result.fname(index) or b"").decode(encoding) for index in range(result.nfields)]
    unknown = [name for name in precondition.columns if name not in names]
    if unknown:
        raise _ColumnUnknown(
            f"says names {', '.join(unknown)}, and a row has {', '.join(names) or 'no column'}"
        )
    for number in range(result.ntuples):
        values = (result.get_value(number, index) for index in range(result.nfields))
        texts = ("null" if each is None else each.decode(encoding) for each in values)
        yield _line(precondition.told(dict(zip(names, texts, strict=True))))


def _line(text: str) -> str:
    """Return a row's words as one line that a terminal shows as it is."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."
