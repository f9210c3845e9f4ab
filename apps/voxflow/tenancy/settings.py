"""What the environment says to the versions that know tenants."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from voxflow.settings import Person, person


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the environment says beside what every version reads.

    Args:
        cache: The address of Redis.
        admin: Whom the reserved administrator signs in as.
        rates: How many requests an account of a tier has in a window.
        anonymous: How many an address has without an account.
        window: How long a window is, in seconds.
        keys: Secrets that API keys are encrypted with, by their id; the first one encrypts.
    """

    cache: str
    admin: Person | None
    rates: dict[str, int] = field(default_factory=dict)
    anonymous: int
    window: int
    keys: dict[str, str] = field(default_factory=dict, repr=False)

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
            keys=_keys(os.environ["API_KEYS_SECRET"]),
        )


def _keys(text: str) -> dict[str, str]:
    """Return secrets by their id from ``id:secret,id:secret``; one without an id has ``1``."""
    parts = [each.strip().rpartition(":") for each in text.split(",") if each.strip()]
    return {name or "1": secret for name, _, secret in parts}
