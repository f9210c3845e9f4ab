"""What a step says it did."""

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
