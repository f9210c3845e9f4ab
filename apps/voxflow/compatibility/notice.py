"""What answers say of a route that will be removed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

DEPRECATED_ON, REMOVED_ON = "LEGACY_DEPRECATED_ON", "LEGACY_REMOVED_ON"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """When routes were deprecated, and when they will be removed.

    Args:
        deprecated: Since when; ``None`` where nothing is announced yet.
        removed: From when they may be gone.
        guide: Where people read what to do instead; empty for nowhere.
    """

    deprecated: datetime | None
    removed: datetime | None
    guide: str

    @classmethod
    def read(cls) -> Notice:
        """Read it; a date that is none, or a removal before the deprecation, ends the process."""
        found = cls(
            deprecated=_day(DEPRECATED_ON),
            removed=_day(REMOVED_ON),
            guide=os.environ.get("LEGACY_GUIDE_URL", ""),
        )
        if found.deprecated and found.removed and found.removed < found.deprecated:
            raise SystemExit(f"{REMOVED_ON} is before {DEPRECATED_ON}")
        return found

    def headers(self) -> dict[str, str]:
        """Return ``Deprecation`` (RFC 9745), ``Sunset`` (RFC 8594), and ``Link`` to what to do."""
        told = {}
        links = []
        if self.deprecated is not None:
            told["Deprecation"] = f"@{int(self.deprecated.timestamp())}"
            links.append("deprecation")
        if self.removed is not None:
            told["Sunset"] = format_datetime(self.removed, usegmt=True)
            links.append("sunset")
        if self.guide and links:
            told["Link"] = ", ".join(
                f'<{self.guide}>; rel="{relation}"; type="text/html"' for relation in links
            )
        return told


def _day(name: str) -> datetime | None:
    text = os.environ.get(name)
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise SystemExit(f"{name} is a day such as 2026-12-01, and it is {text!r}") from None
