"""How long a statement has been at work, by our own clock: what it waits for others is not counted."""

from __future__ import annotations

import dataclasses
import time


@dataclasses.dataclass(slots=True)
class Working:
    """One statement's time at work.

    Args:
        limit_seconds: How long it may be at work; None for as long as it takes.
        overran: Whether it was found to have been at work for longer.
    """

    limit_seconds: float | None = None
    overran: bool = False
    _spent: float = 0.0
    _seen: float = dataclasses.field(default_factory=time.monotonic)

    def overruns(self, *, waits: bool) -> bool:
        """Tell whether it has worked too long, given whether it waits for others at this moment."""
        now = time.monotonic()
        if not waits:
            self._spent += now - self._seen
        self._seen = now
        self.overran |= self.limit_seconds is not None and self._spent > self.limit_seconds
        return self.overran
