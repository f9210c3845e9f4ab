"""Moments that tests wait for: something seen on the server, or the end of a runner's time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from changeover.executors.migrate.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_SECONDS = 0.01


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds; it failing to come about is red after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"it did not come to that within {seconds} s")
        time.sleep(PAUSE_SECONDS)


class Clock:
    """Decides when a runner's deadline passes: when the test says so, however slow the machine is."""

    def __init__(self) -> None:
        self.over = False

    def stop(self) -> None:
        """Let every deadline pass."""
        self.over = True

    def start(self) -> None:
        """Give every runner the time it asked for."""
        self.over = False

    def deadline(self, seconds: float) -> Deadline:
        """Take the place of `Deadline` in a runner."""
        return _Stoppable(self, seconds)


class _Stoppable(Deadline):
    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(seconds)
        self._clock = clock

    @property
    def remaining(self) -> float:
        return 0.0 if self._clock.over else super().remaining
