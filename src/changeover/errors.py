"""The error root and its categories: what an exit code means, and what every failure must say.

A module that can fail in a way of its own defines a leaf beside its code, named as a statement of
fact (``MigrationEdited``) and derived from the category whose exit code fits.
"""

from __future__ import annotations

from typing import ClassVar


class ChangeoverError(Exception):
    """A failure that is told to the user: what happened, where, why, and what to type next.

    Args:
        message: One sentence that says what happened.
        hint: The next step, with the command to type where there is one.
        host: The host it happened on, by its inventory name.
        cause: What the other side said: a log tail, a SQL error, the body of a health answer.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, hint: str, host: str | None = None, cause: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.host = host
        self.cause = cause

    def as_event(self) -> dict[str, object]:
        """Return the failure as one JSON-ready event."""
        return {
            "type": "error",
            "error": type(self).__name__,
            "message": self.message,
            "host": self.host,
            "cause": self.cause,
            "next": self.hint,
            "exit": self.exit_code,
        }


class Failed(ChangeoverError):
    """It failed; the old version serves and nothing is half done."""

    exit_code = 1


class InvalidInput(ChangeoverError):
    """What was typed or configured is not usable; nothing was changed."""

    exit_code = 2


class RolledBack(ChangeoverError):
    """It failed after the switch, and the old version serves again."""

    exit_code = 3


class Mixed(ChangeoverError):
    """It failed and the hosts disagree: a person must look at what the message names."""

    exit_code = 4


class LockHeld(ChangeoverError):
    """Another deployment holds the lock."""

    exit_code = 5


class CheckRed(ChangeoverError):
    """A preflight, smoke or verify check is red."""

    exit_code = 6


class Interrupted(ChangeoverError):
    """The user or the machine interrupted it; ``resume``, ``abort`` or ``rollback`` will do."""

    exit_code = 130
