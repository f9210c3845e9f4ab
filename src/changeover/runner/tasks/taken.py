"""What became on a way back of what tasks did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.errors import ChangeoverError


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What became of what tasks did.

    Args:
        undone: Those that were undone, the newest first.
        stays: What stays by what their release declares, in words.
        error: Why one could not be undone; ``None`` where nothing is owed.
        unseen: Whether one may run on, on a host that does not answer.
    """

    undone: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    error: ChangeoverError | None = None
    unseen: bool = False

    @property
    def words(self) -> str:
        """Say it as the end of a sentence; empty where no task did anything."""
        said = [
            *([f"undone by its own command: {', '.join(self.undone)}"] * bool(self.undone)),
            *self.stays,
            *([self.error.message] if self.error else []),
        ]
        return "".join(f"; {each}" for each in said)
