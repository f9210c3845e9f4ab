"""What a migration's checks file declares about its data, as frozen values."""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.migrations.records import Relation

Comparison = Literal["=", ">=", "<=", ">", "<"]
HOLDS = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """How many rows a table is to have more, or fewer, when the migration ends."""

    comparison: Comparison
    rows: int

    def holds(self, rows: int) -> bool:
        """Tell whether this many rows more are what was expected."""
        return bool(HOLDS[self.comparison](rows, self.rows))

    def __str__(self) -> str:
        if self.comparison != "=":
            return f"{self.comparison}{self.rows}"
        return f"{self.rows:+d}" if self.rows else "0"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as a checks file names it."""

    table: Relation
    name: str

    def __str__(self) -> str:
        return f"{self.table.dotted}.{self.name}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table has so many rows more at the migration's end than before its first statement."""

    line: int
    table: Relation
    expected: Delta

    def __str__(self) -> str:
        return f"rows {self.table.dotted}: {self.expected}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Each value of the child column is in the parent column."""

    line: int
    child: Column
    parent: Column

    def __str__(self) -> str:
        return f"orphans {self.child}: {self.parent}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotNull:
    """No row has NULL in the column."""

    line: int
    column: Column

    def __str__(self) -> str:
        return f"not_null {self.column}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """The sequences that a table's columns own are ahead of them; no table means every table."""

    line: int
    table: Relation | None

    def __str__(self) -> str:
        return f"sequences {self.table.dotted if self.table else 'all'}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A query has rows when the migration ends, and each begins with true."""

    line: int
    name: str
    query: str

    def __str__(self) -> str:
        return f"invariants {self.name}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A query gives the same at the migration's end as one did before its first statement.

    Args:
        line: Where it stands, from 1.
        name: What it is called.
        before: Asked before the first statement.
        after: Asked at the end.
        tables: What the two read.
    """

    line: int
    name: str
    before: str
    after: str
    tables: tuple[Relation, ...]

    def __str__(self) -> str:
        return f"invariants {self.name}"


Compared = Rows | Unchanged
Check = Compared | Orphans | NotNull | Sequences | Invariant


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """All checks of one migration.

    Args:
        path: Their file.
        items: In the order they are taken; never empty.
    """

    path: Path
    items: tuple[Check, ...]

    @property
    def compared(self) -> tuple[Compared, ...]:
        """Return those that need to know what was there before the first statement."""
        return tuple(check for check in self.items if isinstance(check, Rows | Unchanged))

    @property
    def still(self) -> tuple[Relation, ...]:
        """Return the tables that nobody else may write to between the two looks."""
        return tuple(dict.fromkeys(table for check in self.compared for table in held_by(check)))

    def where(self, check: Check) -> str:
        """Return the file and line of a check."""
        return f"{self.path}:{check.line}"


def held_by(check: Check) -> tuple[Relation, ...]:
    """Return the tables that a check keeps from changing while its migration runs."""
    match check:
        case Rows():
            return (check.table,)
        case Unchanged():
            return check.tables
        case _:
            return ()
