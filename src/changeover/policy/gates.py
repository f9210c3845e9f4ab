"""Whether a share of clients on a new colour may grow: what both colours answered, judged. Pure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.policy.canary import Gates

SLOWEST = 0.99
# With fewer answers, the slowest 1% of them are one or none, and the first ones of a fresh process:
# they are judged once, at the end, by their slowest tenth.
ENOUGH_TO_TELL_EARLY = 100
SLOW_OF_FEW = 0.9
# Before its end a share is judged at every look, so chance alone must hardly ever end one: at most
# once in so many that do no worse than they may.
MISTAKEN_ONCE_IN = 1000


@dataclass(slots=True)
class Figures:
    """What one colour answered so far.

    Args:
        requests: How many requests, without WebSockets.
        errors: How many of them with 5xx.
        milliseconds: How many answers took how long.
    """

    requests: int = 0
    errors: int = 0
    milliseconds: Counter[int] = field(default_factory=Counter)

    def add(self, counted_: Mapping[str, Any]) -> None:
        """Add what one host counted."""
        self.requests += int(counted_["requests"])
        self.errors += int(counted_["errors"])
        for value, number in counted_["milliseconds"].items():
            self.milliseconds[int(value)] += int(number)

    def within(self, part: float) -> int | None:
        """Return in how many milliseconds this part of the answers came; ``None`` without any."""
        rank = int((self.milliseconds.total() - 1) * part)
        for value in sorted(self.milliseconds):
            rank -= self.milliseconds[value]
            if rank < 0:
                return value
        return None

    @property
    def errors_percent(self) -> float:
        """Return how many percent of the requests were answered with 5xx."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    @property
    def words(self) -> str:
        """Say them for a person."""
        if not self.requests:
            return "no request"
        return (
            f"{counted(self.requests, 'request')}, {self.errors} with 5xx ({self.errors_percent:.2g}%),"
            f" p50 {self.within(0.5)} ms, p99 {self.within(SLOWEST)} ms"
        )

    def as_json(self) -> dict[str, Any]:
        """Return them as plain JSON."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "p50_ms": self.within(0.5),
            "p99_ms": self.within(SLOWEST),
        }


def red(gates: Gates, new: Figures, old: Figures, *, last: bool) -> str | None:
    """Return what is red of the new colour; ``None`` where nothing is so far.

    Args:
        gates: What it is held to.
        new: What the new colour answered.
        old: What the old one answered in the same time.
        last: Whether the share has lasted as long as it should.
    """
    if why := _failing(gates, new, last=last):
        return why
    if min(new.requests, old.requests) < gates.requests:
        return None
    if why := _failing_more(gates, new, old, last=last):
        return why
    many = min(new.requests, old.requests) >= ENOUGH_TO_TELL_EARLY
    part = SLOWEST if many else SLOW_OF_FEW
    slow, before = new.within(part) or 0, old.within(part) or 0
    if (last or many) and slow > max(gates.slower_times * before, before + gates.slower_ms):
        return (
            f"the slowest {100 * (1 - part):.0f}% of the answers take {slow} ms and more, over {gates.slower_times:g} times"
            f" the old colour's {before} ms"
        )
    return None


def _failing(gates: Gates, new: Figures, *, last: bool) -> str | None:
    """Say that more answers are 5xx than any version may give, as soon as that is no chance."""
    allowed = gates.errors_percent / 100
    # A single one is more than 1% of fewer than a hundred, and says nothing yet.
    least = max(new.requests, gates.requests, ENOUGH_TO_TELL_EARLY)
    over = new.errors > max(1.0, allowed * least)
    if not (last and over) and not _beyond_chance(new, allowed):
        return None
    return (
        f"{new.errors} of {new.requests} answers are 5xx, over {gates.errors_percent:g}%: "
        f"{new.errors_percent:.2g}%"
    )


def _failing_more(gates: Gates, new: Figures, old: Figures, *, last: bool) -> str | None:
    """Say that far more answers are 5xx than the old colour would have given."""
    as_old = old.errors / old.requests * new.requests
    over = new.errors > max(1.0, gates.errors_times * as_old)
    # Its next answer may be its next error: one that gave none so far is not without any for ever.
    allowed = gates.errors_times * (old.errors + 1) / (old.requests + 1)
    if not over or not (last or _beyond_chance(new, allowed)):
        return None
    return (
        f"{new.errors} answers are 5xx, over {gates.errors_times:g} times the "
        f"{as_old:.1f} that the old colour would have given"
    )


def _beyond_chance(new: Figures, allowed: float) -> bool:
    """Tell whether a colour that fails no more often than allowed would hardly ever give so many errors.

    By Chernoff's bound of the binomial distribution, which errs on the side of patience.
    """
    if not new.errors or new.errors <= allowed * new.requests:
        return False
    if allowed <= 0:
        return True
    share = new.errors / new.requests
    distance = share * math.log(share / allowed)
    if share < 1:
        distance += (1 - share) * math.log((1 - share) / (1 - allowed))
    return new.requests * distance > math.log(MISTAKEN_ONCE_IN)


def lacking(gates: Gates, new: Figures, old: Figures, *, alone: bool) -> str | None:
    """Return which colour has answered too few requests to be judged; ``None`` where both have enough.

    Args:
        gates: What they are held to.
        new: What the new colour answered.
        old: What the old one answered.
        alone: Whether every client is on the new colour, so that there is nothing to compare with.
    """
    if new.requests < gates.requests:
        return f"the new colour answered {counted(new.requests, 'request')} of {gates.requests}"
    if not alone and old.requests < gates.requests:
        return f"the old colour answered {counted(old.requests, 'request')} of {gates.requests}"
    return None
