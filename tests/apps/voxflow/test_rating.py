"""The score of the database: each issue costs what the README says."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from .system import APP

QUIET = {"waits": 0, "longest_query": 0.0, "longest_idle": 0.0}
LONG = 60


def rating() -> Any:  # noqa: ANN401 - a module of the app, which stands beside its packages
    found = importlib.util.spec_from_file_location("rating", APP / "tenancy" / "rating.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


def rated(
    connections: int = 10,
    ratio: float | None = 99.0,
    blocks: int = 10_000,
    dead: tuple[tuple[int, int], ...] = (),
    **sessions: float,
) -> tuple[int, str, int]:
    told = rating().rate(
        SimpleNamespace(**QUIET | sessions),
        SimpleNamespace(connections=connections, max_connections=100),
        SimpleNamespace(ratio=ratio, hits=blocks, reads=0),
        [SimpleNamespace(name="agents", live=live, dead=gone) for live, gone in dead],
        LONG,
    )
    return told.score, told.word, len(told.issues)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, (100, "excellent", 0)),
        ({"waits": 1}, (85, "good", 1)),
        ({"waits": 4}, (85, "good", 1)),
        ({"waits": 5}, (70, "fair", 1)),
        ({"connections": 79}, (100, "excellent", 0)),
        ({"connections": 80}, (85, "good", 1)),
        ({"connections": 90}, (70, "fair", 1)),
        ({"ratio": None, "blocks": 0}, (100, "excellent", 0)),
        ({"ratio": 1.0, "blocks": 9_999}, (100, "excellent", 0)),
        ({"ratio": 95.0}, (100, "excellent", 0)),
        ({"ratio": 94.99}, (90, "excellent", 1)),
        ({"ratio": 89.99}, (80, "good", 1)),
        ({"longest_query": 59.9}, (100, "excellent", 0)),
        ({"longest_query": 60.0}, (85, "good", 1)),
        ({"longest_query": 300.0}, (75, "good", 1)),
        ({"longest_idle": 60.0}, (85, "good", 1)),
        ({"dead": ((40_000, 9_999),)}, (100, "excellent", 0)),
        ({"dead": ((40_001, 10_000),)}, (100, "excellent", 0)),
        ({"dead": ((40_000, 10_000),)}, (95, "excellent", 1)),
        ({"dead": ((0, 10_000),) * 5}, (85, "good", 5)),
        ({"waits": 5, "longest_query": 300.0}, (45, "critical", 2)),
        (
            {
                "waits": 9,
                "connections": 99,
                "ratio": 1.0,
                "longest_query": 999.0,
                "longest_idle": 999.0,
                "dead": ((0, 10_000),) * 5,
            },
            (0, "critical", 10),
        ),
    ],
)
def test_each_issue_costs_its_points(found: dict[str, Any], said: tuple[int, str, int]) -> None:
    assert rated(**found) == said
