"""How each data check comes out, in words and in figures."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, assert_never

from changeover.counts import counted
from changeover.executors.migrate.data import queries
from changeover.executors.migrate.data.queries import EXAMPLES
from changeover.migrations.checks import (
    Check,
    Compared,
    Invariant,
    NotNull,
    Orphans,
    Rows,
    Sequences,
    Unchanged,
)

if TYPE_CHECKING:
    from changeover.executors.migrate.session import Connection, Row

ROWS_COMPARED = 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was there before a migration's first statement.

    Args:
        counts: Rows of each table that is compared; None where there was no such table.
        answers: What the queries of invariants gave, by their name.
    """

    counts: dict[str, int | None]
    answers: dict[str, list[Row]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one check came out.

    Args:
        check: What was asked.
        green: Whether it holds.
        says: What was found, in words.
        figures: The same, counted.
        examples: Up to three keys or rows that break it.
        milliseconds: How long it took.
    """

    check: Check
    green: bool
    says: str
    figures: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: tuple[str, ...] = ()
    milliseconds: float = 0.0

    def __str__(self) -> str:
        such = f", such as {', '.join(self.examples)}" if self.examples else ""
        return f"{self.check}: {self.says}{such}"


def note(connection: Connection, check: Compared, before: Before) -> Result:
    """Note what a check compares with; it is red where that cannot be compared at all."""
    if isinstance(check, Unchanged):
        answer = _few(connection, check.before)
        if answer is None:
            return _too_many(check)
        before.answers[check.name] = answer
    else:
        table = queries.table_named(connection, check.table)
        if table and not table[0]:
            return Result(
                check=check,
                green=False,
                says="is neither table nor view, so nothing holds it still",
            )
        number = queries.count(connection, check.table) if table else None
        before.counts[check.table.dotted] = number
    return Result(check=check, green=True, says="noted")


def compared(connection: Connection, check: Compared, before: Before | None) -> Result:
    """Return how what is there compares with what was noted before."""
    if before is None:
        return Result(
            check=check,
            green=False,
            says="cannot be compared: an earlier run committed the migration's beginning",
        )
    if isinstance(check, Unchanged):
        return _same(connection, check, before)
    return _rows(connection, check, before)


def held(connection: Connection, check: Orphans | NotNull | Sequences | Invariant) -> Result:
    """Return whether what is to hold at the migration's end does."""
    match check:
        case Orphans():
            number, keys = queries.orphans(connection, check)
            says = f"{counted(number, 'row')} without a parent"
            return _broken_by(check, says, {"orphans": number}, keys)
        case NotNull():
            number, keys = queries.empty(connection, check.column)
            return _broken_by(check, f"{counted(number, 'row')} with NULL", {"nulls": number}, keys)
        case Sequences():
            return _sequences(connection, check)
        case Invariant():
            return _true(connection, check)
        case _:
            assert_never(check)


def _rows(connection: Connection, check: Rows, before: Before) -> Result:
    earlier = before.counts[check.table.dotted]
    table = queries.table_named(connection, check.table)
    if earlier is None and table is None:
        return Result(check=check, green=False, says="there is no such table, before or after")
    now = queries.count(connection, check.table) if table else None
    delta = (now or 0) - (earlier or 0)
    says = f"{_rows_or_none(earlier)} before, {_rows_or_none(now)} after, {delta:+d}"
    return Result(
        check=check,
        green=check.expected.holds(delta),
        says=says,
        figures={"before": earlier or 0, "after": now or 0, "delta": delta},
    )


def _rows_or_none(number: int | None) -> str:
    return "no table" if number is None else str(number)


def _broken_by(check: Check, says: str, figures: dict[str, int], keys: tuple[str, ...]) -> Result:
    green = not any(figures.values())
    return Result(check=check, green=green, says=says, figures=figures, examples=keys)


def _sequences(connection: Connection, check: Sequences) -> Result:
    owned = queries.owned_sequences(connection, check.table)
    if check.table and not owned:
        return Result(
            check=check, green=False, says="no column of it owns a sequence of whole numbers"
        )
    behind = [each for each in owned if not each.ahead]
    return Result(
        check=check,
        green=not behind,
        says=f"{len(behind)} of {counted(len(owned), 'sequence')} behind",
        figures={"sequences": len(owned), "behind": len(behind)},
        examples=tuple(
            f"{each.name} that gives {each.following} next where {each.column} has {each.furthest}"
            for each in behind[:EXAMPLES]
        ),
    )


def _true(connection: Connection, check: Invariant) -> Result:
    number = wrong = 0
    examples: list[str] = []
    for row in queries.answers(connection, check.query):
        number += 1
        if not row or row[0] is not True:
            wrong += 1
            examples += [_shown(row)] if len(examples) < EXAMPLES else []
    says = f"not true in {wrong} of {counted(number, 'row')}" if number else "returned no row"
    return Result(
        check=check,
        green=number > 0 and not wrong,
        says=says,
        figures={"rows": number, "wrong": wrong},
        examples=tuple(examples),
    )


def _same(connection: Connection, check: Unchanged, before: Before) -> Result:
    earlier, now = before.answers[check.name], _few(connection, check.after)
    if now is None:
        return _too_many(check)
    differing = [
        f"{_shown(one)} before and {_shown(other)} after"
        for one, other in itertools.zip_longest(earlier, now)
        if one != other
    ]
    return Result(
        check=check,
        green=bool(now) and not differing,
        says=f"{counted(len(differing), 'row differs', 'rows differ')},"
        f" {len(earlier)} before and {len(now)} after",
        figures={"before": len(earlier), "after": len(now), "differing": len(differing)},
        examples=tuple(differing[:EXAMPLES]),
    )


def _few(connection: Connection, query: str) -> list[Row] | None:
    """Return a query's rows; None when they are too many to be kept and compared."""
    rows = list(itertools.islice(queries.answers(connection, query), ROWS_COMPARED + 1))
    return rows if len(rows) <= ROWS_COMPARED else None


def _too_many(check: Check) -> Result:
    says = f"more than {counted(ROWS_COMPARED, 'row')} are not compared: sum them up"
    return Result(check=check, green=False, says=says)


def _shown(row: Row | None) -> str:
    return "nothing" if row is None else f"({', '.join(map(str, row))})"
