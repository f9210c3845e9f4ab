"""How long requests took while a controller was in which of its steps, and around its switches."""

from __future__ import annotations

import bisect
import datetime as dt
import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# A switch is felt by what is under way when it happens, and by what queues behind that.
BEFORE_SECONDS, AFTER_SECONDS = 0.5, 1.5
SWITCHES = {"switch", "revert"}
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One step of one verb, in seconds since 1970."""

    verb: str
    step: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What requests took, in milliseconds from when they were due."""

    count: int
    p50: float
    p99: float
    longest: float


class Requests:
    """Requests by when they were due."""

    def __init__(self, entries: Iterable[tuple[float, float]]) -> None:
        self._entries = sorted(entries)
        self._due = [due for due, _ in self._entries]

    def within(self, spans: Iterable[tuple[float, float]]) -> Times:
        """Return what those took that were due in any of these spans."""
        chosen: set[int] = set()
        for begun, ended in spans:
            first, last = (bisect.bisect_left(self._due, moment) for moment in (begun, ended))
            chosen.update(range(first, last))
        return _times([self._entries[number][1] for number in chosen])

    def around(self, spans: Iterable[Span]) -> Times:
        """Return what those took that were due around a switch."""
        return self.within(
            (span.begun - BEFORE_SECONDS, span.ended + AFTER_SECONDS)
            for span in spans
            if span.step in SWITCHES
        )

    @property
    def all(self) -> Times:
        """What all of them took."""
        return _times([took for _, took in self._entries])


def _times(milliseconds: list[float]) -> Times:
    found = sorted(milliseconds) or [0.0]
    return Times(
        count=len(milliseconds),
        p50=found[len(found) // 2],
        p99=found[min(len(found) - 1, int(len(found) * 0.99))],
        longest=found[-1],
    )


def read(records: Path) -> Requests:
    """Return the requests that a load client recorded."""
    entries = []
    for line in records.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "due" in entry:
            entries.append((entry["due"], (entry["end"] - entry["due"]) * 1000))
    return Requests(entries)


def moment(event: Event) -> float:
    """Return when an event was told, in seconds since 1970."""
    return dt.datetime.fromisoformat(event["at"]).timestamp()


def steps(verb: str, events: Sequence[Event]) -> list[Span]:
    """Return the steps that a verb's events tell of."""
    begun = {each["step"]: moment(each) for each in events if each["type"] == "step-intent"}
    return [
        Span(verb, each["step"], begun[each["step"]], moment(each))
        for each in events
        if each["type"] == "step-done"
    ]


def table(requests: Requests, spans: Sequence[Span]) -> list[str]:
    """Return a line for each step of each verb, in the order they first came."""
    lines = [f"{'requests that were due':<28} {'n':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"]
    found = {"all the time": requests.all, "around switches": requests.around(spans)}
    for name in dict.fromkeys((span.verb, span.step) for span in spans):
        same = [(one.begun, one.ended) for one in spans if (one.verb, one.step) == name]
        found[f"during {name[1]} of {name[0]}"] = requests.within(same)
    for title, each in found.items():
        lines.append(
            f"{title:<28} {each.count:>8} {each.p50:8.1f} {each.p99:8.1f} {each.longest:8.1f}"
        )
    return lines


def verbs(name: str, runs: Sequence[tuple[float, float, Sequence[Event], float]]) -> list[str]:
    """Return what a verb took, whole and until what users are on was proved, and its CPU time."""
    whole = [ended - begun for begun, ended, _, _ in runs]
    green = [
        moment(next(e for e in events if e["type"] == "step-done" and e["step"] == "smoke")) - begun
        for begun, _, events, _ in runs
    ]
    cpu = [each for *_, each in runs]
    return [
        f"{name} {title:<28} median {statistics.median(each):6.2f} s, {min(each):.2f} to {max(each):.2f} s"
        for title, each in (
            ("whole", whole),
            ("until users' version is proved", green),
            ("CPU time of the controller", cpu),
        )
    ]
