"""Which tasks of releases a plan and a way back have to tell of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover.release import load_releases
from changeover.runner.tasks import declared
from changeover.verdict import TaskFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.release import Release

CHECKOUT = Path(__file__).resolve().parents[4]
MIDDLE, NEWER = "2.1.0", "2.2.0"
RUN = TaskFact(id=f"{MIDDLE}/payments-2", undo=False)


@pytest.fixture(scope="module")
def releases() -> Mapping[str, Release]:
    """Return releases of which the middle one runs a task, and one more after it."""
    known = load_releases(CHECKOUT, "onboarding")
    update = {"version": NEWER, "follows": (MIDDLE,), "runs": ()}
    return {**known, NEWER: known[MIDDLE].model_copy(update=update)}


@pytest.mark.parametrize(
    ("version", "before", "told"),
    [
        (MIDDLE, "2.0.0", (RUN,)),
        (NEWER, "2.0.0", (RUN,)),
        (NEWER, None, (RUN,)),
        (NEWER, MIDDLE, ()),
        ("2.0.0", "1.0.0", ()),
        (NEWER, "9.9.9", ()),
        ("9.9.9", "2.0.0", ()),
    ],
)
def test_a_way_back_has_to_know_of_tasks_that_the_older_version_did_not_grow_from(
    releases: Mapping[str, Release], version: str, before: str | None, told: tuple[TaskFact, ...]
) -> None:
    assert declared.facts(releases, version, before) == told


@pytest.mark.parametrize(
    ("version", "before", "skipped"),
    [
        (NEWER, "2.0.0", [f"{MIDDLE} is skipped, and its task payments-2 is not run"]),
        (MIDDLE, "2.0.0", []),
        (NEWER, None, []),
        # What an unknown version had done nobody can tell.
        (NEWER, "9.9.9", []),
    ],
)
def test_tasks_of_releases_that_are_skipped_are_told(
    releases: Mapping[str, Release], version: str, before: str | None, skipped: list[str]
) -> None:
    assert list(declared.passed_over(releases, version, before)) == skipped
