"""What an account may have by its tier, unless an administrator says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tier = Literal["free", "pro", "enterprise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """What a tier has.

    Args:
        role: Of its accounts.
        agents: How many agents an account has at the most.
        tokens: How many tokens of language models an account uses in a month.
    """

    role: str
    agents: int
    tokens: int


TIERS: dict[Tier, Allotment] = {
    "free": Allotment(role="user", agents=3, tokens=10_000),
    "pro": Allotment(role="user", agents=10, tokens=100_000),
    "enterprise": Allotment(role="enterprise", agents=100, tokens=1_000_000),
}
