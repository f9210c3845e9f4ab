"""A trial that struck nothing has shown nothing, and says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest
from tests.faults import trial
from tests.faults.controller import STRUCK
from tests.faults.stage import POINTS, Ended, Stage
from tests.faults.trial import VERBS, Moment, strike


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


@dataclass
class Held(Lab):
    """Refuses the first command that follows: another controller's lease is not over yet."""

    codes: list[int] = field(default_factory=lambda: [5, 0])

    def run(self, *words: str, strike: object = (), root: str = "first") -> Ended:
        return Ended(
            words=" ".join(words), code=self.codes.pop(0), seconds=1, said=f"{root}{strike}"
        )


@pytest.mark.parametrize(("root", "codes", "by_hand"), [("second", [5, 0], 0), ("first", [5], 1)])
def test_only_another_controller_waits_for_the_end_of_a_lease(
    monkeypatch: pytest.MonkeyPatch, root: str, codes: list[int], by_hand: int
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("tests.faults.trial.time.sleep", waited.append)
    moment = Moment(verb="finalize", kind="off-before", number=17, way="forward", root=root)
    struck = Ended(words="finalize", code=1, seconds=1, said="")

    ended, found, _ = trial.end(cast("Stage", Held()), moment, VERBS["finalize"], struck)

    assert ([each.code for each in ended], found) == (codes, by_hand)
    assert waited == ([120] if root == "second" else [])
