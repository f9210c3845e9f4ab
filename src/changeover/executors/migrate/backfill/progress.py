"""What a backfill has done, of how much, how fast, and when it should be over."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING

from changeover.counts import counted

if TYPE_CHECKING:
    from changeover.executors.migrate.limits import Report

REPORT_SECONDS = 1.0
WINDOW_SECONDS = 30.0  # speed is that of late: what was before a pause says little


class Progress:
    """Counts committed batches and reports them, at most once a second.

    Args:
        report: Receives the events.
        name: Id of the migration.
        keys: Keys done by earlier runs, as the planner estimates them.
        rows: Rows changed by earlier runs.
        total: All keys, as the planner estimates them.
    """

    def __init__(self, report: Report, name: str, *, keys: int, rows: int, total: int) -> None:
        self._report = report
        self._name = name
        self._keys = keys
        self._rows = rows
        self._total = total
        self._shown = time.monotonic()
        self._seen = collections.deque([(self._shown, keys, rows)])

    def add(self, keys: int, rows: int) -> None:
        """Count a committed batch."""
        self._keys += keys
        self._rows += rows
        now = time.monotonic()
        if now - self._shown < REPORT_SECONDS:
            return
        self._shown = now
        self._seen.append((now, self._keys, self._rows))
        while now - self._seen[0][0] > WINDOW_SECONDS and len(self._seen) > 2:  # noqa: PLR2004 - two points make a speed
            self._seen.popleft()
        self._report(self._event(now))

    def _event(self, now: float) -> dict[str, object]:
        begun, keys, rows = self._seen[0]
        speed = (self._keys - keys) / (now - begun)
        total = max(self._total, self._keys)
        eta = (total - self._keys) / speed if speed else None
        return {
            "type": "batch",
            "migration": self._name,
            "keys": self._keys,
            "estimated_keys": total,
            "keys_per_second": round(speed),
            "rows": self._rows,
            "rows_per_second": round((self._rows - rows) / (now - begun)),
            "eta_seconds": None if eta is None else round(eta, 1),
            "says": f"{self._name}: {self._keys} of about {total} keys, {counted(self._rows, 'row')} changed,"
            f" {speed:.0f} keys/s" + ("" if eta is None else f", {eta:.0f} s to go"),
        }
