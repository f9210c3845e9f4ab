"""A deployment that is struck at telling moments: one command ends it, and nothing tells of the blow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.faults.stage import Stage
from tests.faults.trial import VERBS, Conditions, Moment, attempt, points_of, reference

from .live import APP, LIVE_SNAPSHOT, back_to_live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.trial import Way

    from .conftest import Lab

pytestmark = pytest.mark.lab
RATE = 20
Scene = tuple[Stage, Conditions, dict[str, int]]


@pytest.fixture(scope="module")
def scene(live_single: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Return the stage with what a deployment that nobody strikes comes to."""
    work = tmp_path_factory.mktemp("struck")
    stage = Stage(lab=live_single, app=APP, database="nox_api", rows=(), work=work)
    verb = replace(VERBS["deploy"], snapshot=LIVE_SNAPSHOT, undo=None)
    yield (stage, *reference(stage, verb, RATE))
    back_to_live(live_single)


@pytest.mark.parametrize(
    ("kind", "share", "way", "root"),
    [
        ("controller-after", 0.65, "forward", "second"),
        ("controller-torn", 0.84, "back", "second"),
        ("agent-change", 0.4, "back", "first"),
    ],
)
def test_a_struck_deployment_is_ended_by_one_command_and_leaves_no_trace(
    scene: Scene, kind: str, share: float, way: Way, root: str
) -> None:
    stage, wanted, points = scene
    number = round(points_of(kind, points) * share)
    moment = Moment(verb="deploy", kind=kind, number=number, way=way, root=root)

    found = attempt(stage, moment, wanted, RATE, snapshot=LIVE_SNAPSHOT)

    assert found.struck.code != 0, "it was not struck"
    assert not found.red, found
