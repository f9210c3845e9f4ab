"""What the figures say of themselves: how many, the middle, the spread, the aim, and the steps."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bench import figures


def test_a_figure_has_its_number_its_spread_its_aim_and_its_ratios() -> None:
    taken = {
        figures.SSH: [0.1, 0.3, 0.2],
        figures.ANSIBLE: [2.0],
        figures.FIRST: [24.0, 20.0, 40.0],
    }

    told = figures.Figures(taken=defaultdict(list, taken)).table()

    assert told[0].split() == ["n", "median", "min", "max", "aim", "x", "ssh", "x", "ansible"]
    assert told[-1].removeprefix(figures.FIRST).split() == [
        *("3", "24.00", "20.00", "40.00"),
        *("30", "120.0", "12.0"),
    ]


def test_the_seconds_of_a_step_are_those_between_its_intent_and_its_outcome() -> None:
    events = [
        {"type": "deployment-begin", "at": "2026-01-15T10:00:00.000+00:00"},
        {"type": "step-intent", "step": "lock", "at": "2026-01-15T10:00:01.000+00:00"},
        {"type": "check", "id": "health"},
        {"type": "step-done", "step": "lock", "at": "2026-01-15T10:00:02.500+00:00"},
    ]

    printed = "\n".join(json.dumps(event) for event in events)

    assert figures.steps_of(printed) == {"lock": pytest.approx(1.5)}
    assert figures.done_at(printed, "lock").isoformat() == "2026-01-15T10:00:02.500000+00:00"
