"""What a bench found, round by round: seconds of each thing measured, and ratios within a round.

Machines and their load differ, so a bench does everything it compares in the same round and sets
the figures of one round against each other. What it tells is the median of those ratios.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import signal
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

WIDTH = 44


@dataclass(slots=True)
class Rounds:
    """Seconds by what took them, one a round, and which of them are left out.

    Args:
        taken: Seconds, in the order of the rounds.
        absent: What was not measured, and why.
    """

    taken: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    absent: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, seconds: float) -> None:
        """Take a figure down, and tell it, since all rounds together take minutes."""
        self.taken[name].append(seconds)
        print(f"{name}: {seconds:.3f} s", file=sys.stderr, flush=True)

    def middle(self, name: str) -> float:
        """Return the median of what a thing took, in seconds."""
        return statistics.median(self.taken[name])

    def ratios(self, name: str, measure: str) -> list[float]:
        """Return each round's ratio of one thing to another."""
        pairs = zip(self.taken[name], self.taken[measure], strict=True)
        return [one / other for one, other in pairs]

    def ratio(self, name: str, measure: str) -> float:
        """Return the median of the ratios of one thing to another."""
        return statistics.median(self.ratios(name, measure))

    def table(self, names: Sequence[str], measure: str) -> list[str]:
        """Return a line a thing: rounds, seconds, and its ratio to ``measure`` with the spread.

        Args:
            names: What to show, in this order; what is absent is told as that.
            measure: What the ratios are to.
        """
        lines = [
            f"{'':<{WIDTH}} {'n':>2} {'median':>8} {'min':>8} {'max':>8}    times {measure} (min..max)"
        ]
        for name in names:
            if name in self.absent:
                lines.append(f"{name:<{WIDTH}} not measured: {self.absent[name]}")
            elif seconds := self.taken.get(name):
                ratios = self.ratios(name, measure)
                lines.append(
                    f"{name:<{WIDTH}} {len(seconds):>2} {statistics.median(seconds):8.3f}"
                    f" {min(seconds):8.3f} {max(seconds):8.3f}    {statistics.median(ratios):.2f}"
                    f" ({min(ratios):.2f}..{max(ratios):.2f})"
                )
        return lines


def machine() -> str:
    """Return what the figures were taken on, and how busy it is."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{now}  {os.cpu_count()} x {model}, {memory:.0f} GB, Linux {platform.release()},"
        f" Python {platform.python_version()}, load {load}"
    )


def end_as_by_hand() -> None:
    """Let SIGTERM unwind the program as Ctrl-C does, so that its server and files go."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
