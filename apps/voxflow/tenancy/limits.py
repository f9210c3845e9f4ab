"""How often an account may ask: counted in Redis, by its clock, so that all app hosts count as one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from . import counted

if TYPE_CHECKING:
    from .settings import Terms

PREFIX = "voxflow:rate:"
SECONDS = 1.0
# One round trip; the window begins and ends by the clock of Redis, which is one for all hosts.
TAKE = """
local now = tonumber(redis.call('TIME')[1])
local window = tonumber(ARGV[1])
local start = now - now % window
local key = KEYS[1] .. ':' .. start
local taken = redis.call('INCR', key)
if taken == 1 then redis.call('EXPIRE', key, window + 1) end
return {taken, start + window, start + window - now}
"""
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left of a window.

    Args:
        limit: Requests in a window.
        remaining: Those that are left.
        reset: When the next one begins, in seconds since 1970.
        wait: Seconds until then.
        exceeded: Whether this request is one too many.
        tier: Whose limit it is: an account's tier, or ``anonymous``.
    """

    limit: int
    remaining: int
    reset: int
    wait: int
    exceeded: bool
    tier: str

    def headers(self) -> dict[str, str]:
        """Return what an answer tells of it."""
        told = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }
        if self.exceeded:
            told["Retry-After"] = str(self.wait)
        return told


class Limits:
    """Counts requests."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._cache: redis.Redis = redis.Redis.from_url(
            terms.cache, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
        )
        self._take = self._cache.register_script(TAKE)

    def take(self, who: str, tier: str | None) -> Allowance | None:
        """Count one request; ``None`` while Redis is away, which must not take the API with it.

        Args:
            who: An account or an address.
            tier: The account's; ``None`` for an address.
        """
        limit = self._terms.anonymous if tier is None else self._terms.rates[tier]
        try:
            taken, reset, wait = self._take(keys=[PREFIX + who], args=[self._terms.window])
        except redis.RedisError as error:
            counted.UNCOUNTED.inc()
            LOG.warning("requests are not counted: %s", type(error).__name__)
            return None
        return Allowance(
            limit=limit,
            remaining=max(0, limit - taken),
            reset=reset,
            wait=max(1, wait),
            exceeded=taken > limit,
            tier=tier or "anonymous",
        )

    def ping(self) -> bool:
        """Tell whether Redis answers."""
        try:
            return bool(self._cache.ping())
        except redis.RedisError:
            return False
