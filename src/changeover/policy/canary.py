"""What a canary is: shares of clients one after another, and the gates that each has to pass."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

EVERYBODY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a share has to show of the new colour, beside the old one in the same time.

    Args:
        requests: How many answers each colour has to have given at least.
        errors_percent: The share of answers 5xx above which it is red at the share's end, whatever the
            old one does, and before where that is beyond chance. A single one is borne, but with 0.
        errors_times: Red in the same way with more than this many times the errors that the old colour
            would have given, where that is more than one.
        slower_times: Red where the 99th percentile of the answers' time is more than this many
            times the old colour's and ``slower_ms``.
        slower_ms: So many milliseconds more are never too slow: small times vary by themselves.
    """

    requests: int = 20
    errors_percent: float = 1.0
    errors_times: float = 2.0
    slower_times: float = 1.5
    slower_ms: int = 50

    @property
    def words(self) -> str:
        """Say them for a person."""
        return (
            f"at least {self.requests} answers of each colour, at most {self.errors_percent:g}% of them"
            f" 5xx and {self.errors_times:g} times the old colour's, the slowest 1% at most"
            f" {self.slower_times:g} times the old colour's or {self.slower_ms} ms more"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The shares of one deployment.

    Args:
        shares: Percents of the clients, growing.
        seconds: How long each share lasts.
        deadline_seconds: How long a share waits for enough answers.
        gates: What each has to show.
    """

    shares: tuple[int, ...]
    seconds: int = 60
    deadline_seconds: int = 600
    gates: Gates = Gates()


def growing(shares: tuple[int, ...]) -> tuple[int, ...]:
    """Return shares that are percents and grow.

    Raises:
        ValueError: They are not; with the one that is not.
    """
    if not shares:
        raise ValueError("there has to be one share at least, such as 5,25,50")
    for share in shares:
        if not 1 <= share <= EVERYBODY:
            raise ValueError(f"a share is 1 to {EVERYBODY} percent of the clients, and not {share}")
    for before, share in pairwise(shares):
        if share <= before:
            raise ValueError(f"shares have to grow, and {share} comes after {before}")
    return shares


def written(text: str) -> tuple[int, ...]:
    """Return the shares of ``5,25,50``.

    Raises:
        ValueError: They are written in another way, or do not grow.
    """
    found = []
    for part in text.split(","):
        if not (part.strip().isascii() and part.strip().isdigit()):
            raise ValueError(
                f"{part.strip()!r} is no share: they are whole percents, as in 5,25,50"
            )
        found.append(int(part))
    return growing(tuple(found))
