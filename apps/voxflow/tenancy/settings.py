"""What the environment says to the versions that know tenants."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from voxflow.settings import Person, person

from .keyring import Keyring, Unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the environment says beside what every version reads.

    Args:
        cache: The address of Redis.
        admin: Whom the reserved administrator signs in as.
        rates: How many requests an account of a tier has in a window.
        anonymous: How many an address has without an account.
        window: How long a window is, in seconds.
        ring: What API keys are encrypted with.
        long_query: How many seconds of a query are long.
    """

    cache: str
    admin: Person | None
    rates: dict[str, int] = field(default_factory=dict)
    anonymous: int
    window: int
    ring: Keyring = field(repr=False)
    long_query: int

    @classmethod
    def read(cls) -> Terms:
        """Read them; a missing one ends the process with its name."""
        rates = {"free": 100, "pro": 1000, "enterprise": 10000}
        return cls(
            cache=os.environ["REDIS_URL"],
            admin=person("ADMIN"),
            rates={
                tier: int(os.environ.get(f"RATE_LIMIT_{tier.upper()}", rate))
                for tier, rate in rates.items()
            },
            anonymous=int(os.environ.get("RATE_LIMIT_ANONYMOUS", "300")),
            window=int(os.environ.get("RATE_LIMIT_WINDOW_SECONDS", "3600")),
            ring=ring(),
            long_query=int(os.environ.get("LONG_QUERY_SECONDS", "60")),
        )


def ring() -> Keyring:
    """Return what API keys are encrypted with; an unfit secret ends the process, and is not shown."""
    try:
        return Keyring.read(os.environ["API_KEYS_SECRET"])
    except Unfit as unfit:
        raise SystemExit(f"API_KEYS_SECRET: {unfit}; write id:secret,id:secret") from None
