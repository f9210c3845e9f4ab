"""What a migration did, or would do; and that it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wish import Wish


class Refused(Exception):
    """The migration cannot be done as it is asked for; nothing was written."""

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a migration did, or would do.

    Args:
        users: The users who have the step.
        copied: Those of them who are done with it, which they stay.
        reset: The others, who have it to do.
        warnings: What an administrator should know.
    """

    users: int
    copied: int
    reset: int
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, int]:
        """Return the counts, as answers, log and events name them."""
        return {
            "usersAffected": self.users,
            "progressCopied": self.copied,
            "progressReset": self.reset,
        }


def counted(wish: Wish, users: int, done: int, invalid: int) -> Outcome:
    """Return what it is where so many users have the step, are done with it, or have it somehow."""
    warnings = []
    if wish.after != wish.before + 1:
        warnings.append(
            f"Expected version {wish.before + 1} but got {wish.after}. Using {wish.after}."
        )
    if invalid:
        warnings.append(f"{invalid} users had invalid status, reset to 'todo'")
    return Outcome(users=users, copied=done, reset=users - done, warnings=tuple(warnings))
