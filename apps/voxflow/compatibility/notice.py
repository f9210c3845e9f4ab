"""What answers say of a route that will be removed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """When routes were deprecated, and when they will be removed.

    Args:
        deprecated: Since when; ``None`` where nothing is announced yet.
        removed: From when they may be gone.
    """

    deprecated: datetime | None
    removed: datetime | None

    @classmethod
    def read(cls) -> Notice:
        """Read it; an unreadable date ends the process."""
        return cls(deprecated=_day("LEGACY_DEPRECATED_ON"), removed=_day("LEGACY_REMOVED_ON"))

    def headers(self) -> dict[str, str]:
        """Return ``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594)."""
        told = {}
        if self.deprecated is not None:
            told["Deprecation"] = f"@{int(self.deprecated.timestamp())}"
        if self.removed is not None:
            told["Sunset"] = format_datetime(self.removed, usegmt=True)
        return told


def _day(name: str) -> datetime | None:
    text = os.environ.get(name)
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
