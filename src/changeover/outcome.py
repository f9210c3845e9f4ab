"""What a step says it did, and how a program of the app ended on a host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a step did.

    Args:
        says: One line for a person.
        changed: Whether anything is different now.
        figures: What was measured, by name with its unit in the name (``switch_us``).
    """

    says: str
    changed: bool = True
    figures: dict[str, Any] = field(default_factory=dict)


TAIL_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program went that a host ran once.

    Args:
        host: Where.
        exit: Its exit code; ``None`` where it was ended.
        result: How systemd calls its end: ``success``, ``exit-code``, ``timeout``, ``signal``.
        seconds: How long it took.
        adopted: Whether an earlier request had begun it.
        output: What it printed, without secrets: the beginning and the end of it.
    """

    host: str
    exit: int | None
    result: str
    seconds: float
    adopted: bool
    output: str

    @property
    def well(self) -> bool:
        """Whether it ended with 0."""
        return self.exit == 0

    @property
    def tail(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.output.splitlines()[-TAIL_LINES:])

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.exit is not None:
            return f"ended with exit code {self.exit} after {self.seconds:.1f} s"
        if self.result == "timeout":
            return f"was ended at its deadline, after {self.seconds:.1f} s"
        return f"was ended ({self.result}) after {self.seconds:.1f} s"
