"""How many keys the next batch takes, by the time that the ones before held their locks."""

from __future__ import annotations

SMALLEST = 1
LARGEST = 100_000  # more dead rows at once than pruning pages and autovacuum deal with gently
GROWTH = 1.5  # rows differ in what they cost, so a fast batch promises little for a much larger one
SHRINKING = 4
# What every batch costs, however small, is not to be had quicker by smaller ones.
NO_QUICKER = 0.8
STOPPED_AFTER = 1.5  # times the target: half of it is left for a commit before twice the target


class Pace:
    """Sizes batches so that each holds its locks for about as long as it aims to.

    Args:
        size: Keys of the first batch; where it is beyond the bounds, it is the bound.
        target_seconds: How long a batch aims to hold its locks.
        least: Keys that it never goes below.
    """

    def __init__(self, size: int, target_seconds: float, least: int = SMALLEST) -> None:
        self.size = max(size, least)
        self._target = target_seconds
        self._largest = max(LARGEST, self.size)
        self._least = least
        self._slow: tuple[int, float] | None = None
        self._warm = False

    @property
    def stop_seconds(self) -> float | None:
        """Return when a batch is stopped and taken back; None when none smaller is left to try."""
        return None if self.size <= self._least else self._target * STOPPED_AFTER

    def took(self, keys: int, seconds: float) -> None:
        """Learn from a batch that was committed.

        Args:
            keys: How many keys it had.
            seconds: How long it held its locks.
        """
        self._weigh(keys, seconds)
        wanted = keys * self._target / max(seconds, 1e-6)
        # Of the first one it is not known what was cached for it: no sign to grow by.
        most = self.size * GROWTH + 1 if self._warm else self.size
        self._warm = True
        self._resize(min(wanted, most))

    def overran(self) -> None:
        """Learn from a batch that was stopped."""
        self._resize(self.size / SHRINKING)

    def _weigh(self, keys: int, seconds: float) -> None:
        """See whether smaller batches are quicker at all; where they are not, go back to the larger ones."""
        if seconds <= self._target:
            self._slow = None
        elif self._slow is None:
            self._slow = keys, seconds
        elif keys * SHRINKING <= self._slow[0]:
            if seconds > self._slow[1] * NO_QUICKER:
                self._least = max(self._least, self._slow[0])
            self._slow = keys, seconds

    def _resize(self, wanted: float) -> None:
        least = max(self._least, self.size // SHRINKING)
        self.size = int(min(max(wanted, least), self._largest))
