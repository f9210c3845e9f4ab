"""A trial that struck nothing has shown nothing, and says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest
from tests.faults.controller import STRUCK
from tests.faults.stage import POINTS, Ended, Stage
from tests.faults.trial import Moment, strike


@dataclass
class Power:
    gone: list[str] = field(default_factory=list)


@dataclass
class Lab:
    """Stands in for a stage: says what a run said, and how many points its agents passed."""

    said: str = ""
    passed: int = 0
    power: Power = field(default_factory=Power)

    def arm(self, *_: object) -> None:
        return

    def disarm(self) -> dict[str, int]:
        return dict.fromkeys(POINTS, self.passed)

    def run(self, *words: str, strike: object = ()) -> Ended:
        return Ended(words=" ".join(words), code=0, seconds=1, said=f"{self.said}{strike and ''}")


@pytest.mark.parametrize(
    ("kind", "lab", "met"),
    [
        ("controller-after", Lab(said=f"{STRUCK} 7"), True),
        ("controller-after", Lab(), False),
        ("agent-change", Lab(passed=7), True),
        ("agent-change", Lab(passed=6), False),
        ("cut-before", Lab(passed=6), False),
        ("off-after", Lab(power=Power(gone=["host1"])), True),
        ("off-after", Lab(passed=7), False),
    ],
)
def test_a_run_that_ended_before_its_moment_was_not_struck(
    kind: str, lab: Lab, *, met: bool
) -> None:
    moment = Moment(verb="deploy", kind=kind, number=7, way="forward", root="first")

    assert strike(cast("Stage", lab), moment, ["deploy"])[1] is met
