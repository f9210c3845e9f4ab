"""What became of a colour's WebSockets when it was stopped: closed by the app, or cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Event = dict[str, Any]
TYPE = "drained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """The WebSockets of one drain on all hosts.

    Args:
        open: How many were open when it began.
        closed: How many the app says it closed, by close code (RFC 6455, 7.4).
        cut: How many ended without a close frame, or were open when the app was killed.
    """

    open: int = 0
    closed: Mapping[str, int] = field(default_factory=dict)
    cut: int = 0

    @classmethod
    def of(cls, results: Iterable[Mapping[str, Any]]) -> Drained:
        """Add up what hosts or events say of them."""
        opened = cut = 0
        closed: Counter[str] = Counter()
        for result in results:
            opened += int(result.get("open") or 0)
            cut += int(result.get("cut") or 0)
            closed.update(result.get("closed") or {})
        return cls(open=opened, closed=dict(sorted(closed.items())), cut=cut)

    @property
    def words(self) -> str:
        """Say it in a part of a sentence; empty where there were none."""
        if not self.open:
            return ""
        codes = ", ".join(f"{count} with {code}" for code, count in self.closed.items())
        said = f"{counted(self.open, 'WebSocket')}: {codes or 'closed with the app'}"
        return f"{said}, {self.cut} cut" if self.cut else said

    def as_json(self) -> Event:
        """Return it as plain JSON."""
        return {"open": self.open, "closed": dict(self.closed), "cut": self.cut}


def read(events: Iterable[Event]) -> Drained:
    """Return what a journal tells of all drains of a run."""
    return Drained.of(event for event in events if event["type"] == TYPE)
