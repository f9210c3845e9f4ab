"""What every step of a plan is: a frozen value that is plain JSON.

A step names what should happen and where; the executor of its duty makes it happen. Nothing here
runs anything, and no field holds a secret.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Phase = Literal["expand", "backfill", "contract"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move of a plan.

    Args:
        id: Unique within its plan, for example ``switch`` or ``expand``.
        guide: The sections of the release's GUIDE.md that it executes.
        hosts: The names of the hosts it touches; empty where it acts from the controller.
        undo: What takes it back, in words; ``None`` where nothing has to be taken back.
        final: Whether the old version cannot simply be switched back to afterwards.
    """

    kind: ClassVar[str] = ""
    says: ClassVar[str] = ""

    id: str
    guide: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    undo: str | None = None
    final: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the step as plain JSON, its kind first."""
        return {"kind": self.kind, "says": self.says, **dataclasses.asdict(self)}
