"""How long a statement has queued for a lock, by our own clock.

PostgreSQL counts its lock timeout by the time of day. When that is set while a session lives, its
timer may not go off for as long as the clock was moved, and readers would wait behind us all the while.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LATE_SECONDS = 1.0  # a busy server's timer is late, too, but not by this much


@dataclasses.dataclass(slots=True)
class Queue:
    """One statement's place behind others.

    Args:
        limit_seconds: How long the server was told to let it queue; None for as long as it takes.
        overstayed: Whether it was found to queue for longer.
    """

    limit_seconds: float | None = None
    overstayed: bool = False
    _behind: frozenset[int] = frozenset()
    _since: float = 0.0

    def overstays(self, behind: Iterable[int]) -> bool:
        """Tell whether it has queued too long, given the processes that it is behind at this moment."""
        ahead = frozenset(behind)
        if ahead != self._behind:
            self._behind, self._since = ahead, time.monotonic()
        limit = self.limit_seconds
        if ahead and limit is not None and time.monotonic() - self._since > limit + LATE_SECONDS:
            self.overstayed = True
        return self.overstayed
