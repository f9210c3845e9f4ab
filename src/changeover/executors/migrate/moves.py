"""A migration going one way: which statements, in which transactions, to which state."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.executors.migrate.ledger import Direction
    from changeover.migrations.records import Migration, Statement

    Place = tuple[str, Direction, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One migration to be applied or undone."""

    migration: Migration
    direction: Direction

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Return what is run, in order."""
        return self.migration.statements if self.forward else self.migration.revert

    @property
    def forward(self) -> bool:
        """Tell whether it is applied rather than undone."""
        return self.direction == "apply"

    @property
    def verify(self) -> tuple[Statement, ...]:
        """Return the queries that must come out true at its end."""
        return self.migration.verify if self.forward else ()

    @property
    def state(self) -> str:
        """Return the ledger's word while it is under way."""
        return "running" if self.forward else "reverting"

    @property
    def final_state(self) -> str:
        """Return the ledger's word when it is done."""
        return "applied" if self.forward else "reverted"

    def where(self, statement: Statement) -> str:
        """Return the file and line of a statement."""
        path = self.migration.path if self.forward else self.revert_path
        return f"{path}:{statement.line}"

    @property
    def revert_path(self) -> str:
        """Return the path of the revert file."""
        return str(self.migration.path.with_suffix(".revert.sql"))


def segments(statements: tuple[Statement, ...]) -> list[tuple[Statement, ...]]:
    """Cut statements into what runs together: one transaction each, or one statement alone."""
    found: list[list[Statement]] = []
    open_for_more = False
    for statement in statements:
        together = statement.effect.transactional and not statement.effect.commits_alone
        if together and open_for_more:
            found[-1].append(statement)
        else:
            found.append([statement])
        open_for_more = together
    return [tuple(segment) for segment in found]
