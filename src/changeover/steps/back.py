"""The step kinds that lead back: to a colour that was live before, to a schema, to a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from changeover.steps.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert(Step):
    """Send users back to the colour that was live before; to none where there was none.

    Without a colour it takes back what the deployment ``of`` switched.
    """

    kind: ClassVar[str] = "revert"
    says: ClassVar[str] = "send users back to the colour before"
    colour: str | None
    of: str | None = None
    closing_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo(Step):
    """Undo migrations that an older version cannot live with, by their revert files, newest first.

    Args:
        version: The version that is left.
        migrations: Their ids, in the order they ran.
    """

    kind: ClassVar[str] = "undo"
    says: ClassVar[str] = "undo what the old version cannot live with"
    version: str
    migrations: tuple[str, ...]

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases that the migrations are of."""
        return tuple(dict.fromkeys(each.partition("/")[0] for each in self.migrations))


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoOwn(Step):
    """Undo what the own migrator of a version did; with ``clone`` on a clone of the backup alone."""

    kind: ClassVar[str] = "undo"
    says: ClassVar[str] = "undo what the app's own migrator did"
    colour: str
    version: str
    clone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreDatabase(Step):
    """Swap the database for a restored backup; the one that is left is kept beside it."""

    kind: ClassVar[str] = "restore"
    says: ClassVar[str] = "swap the database for the restored backup"
    backup: str
