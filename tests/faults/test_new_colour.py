"""New colours that go wrong while users write: users end on one version, and lose nothing but what the fault costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.drill.faults import Fault
from changeover.drill.trial import Trial, run

if TYPE_CHECKING:
    from .conftest import Ground

pytestmark = pytest.mark.lab


def tried(ground: Ground, version: str, fault: Fault, **declared: object) -> Trial:
    """Deploy a version under load, take it back, and return what came of it, which must be clean."""
    trial = run(ground.setting(version, **declared), fault, lambda _: None)
    assert trial.red == [], trial.as_json()
    assert trial.judgement
    assert trial.judgement.requests > 100
    assert trial.judgement.unnamed == 0
    return trial


def said(trial: Trial) -> str:
    """Return what the deployment told at its end."""
    return trial.typed[0][2]


def test_one_that_dies_once_it_was_healthy_is_never_seen_by_users(ground: Ground) -> None:
    dies = Fault(name="dies-after-health", says="", step="preview", ends=frozenset({1}))

    trial = tried(ground, "7.0.1", dies)

    assert "7.0.0 serves" in said(trial)
    assert trial.judgement
    assert {one.partition("-")[0] for one in trial.judgement.answered} == {"7.0.0"}


def test_one_that_dies_under_users_costs_what_it_was_given_and_is_taken_back(
    ground: Ground,
) -> None:
    dies = Fault(
        name="dies-after-switch",
        says="",
        step="switch",
        cost="the new colour dies",
        ends=frozenset({3}),
    )

    trial = tried(ground, "7.0.2", dies)

    assert "rolled back: 7.0.0 serves again, proved" in said(trial)
    assert trial.judgement
    assert trial.judgement.excused["the new colour dies"] > 0


@pytest.mark.parametrize(
    ("version", "what"), [("7.0.3", "answers-slowly"), ("7.0.4", "red-on-one-path")]
)
def test_one_that_serves_badly_is_taken_back_and_costs_no_request(
    ground: Ground, version: str, what: str
) -> None:
    trial = tried(ground, version, Fault(name=what, says="", step="smoke", ends=frozenset({3})))

    assert "rolled back: 7.0.0 serves again, proved" in said(trial)
    assert trial.judgement
    assert any(one.startswith(version) for one in trial.judgement.answered)


def test_one_that_keeps_its_websockets_is_ended_at_the_deadline_and_that_is_told(
    ground: Ground,
) -> None:
    env = ground.setting("8.0.0").env
    ground.controller.changeover("deploy", "8.0.0", "--yes", "--env", env)
    leaks = Fault(
        name="leaks-websockets",
        says="",
        step="drain",
        cost="8.0.5 does not close its WebSockets",
        cuts_sockets=True,
        lingers=120,
        ends=frozenset({0}),
    )

    trial = tried(
        ground,
        "8.0.5",
        leaks,
        path="/api/performance/metrics",
        body='{"session_id": "{id}", "metrics": [{"name": "LCP", "value": 1, "unit": "ms"}]}',
        rows="SELECT session_id FROM performance_metrics",
        sign_in=None,
        websockets=5,
    )

    assert trial.judgement
    assert trial.judgement.acknowledged == trial.judgement.requests
    # Those of 8.0.0 are dismissed by it, those of 8.0.5 are cut, and that is told.
    assert trial.judgement.closes["1001"] == 5
    assert trial.judgement.excused == {"8.0.5 does not close its WebSockets": 5}
    warned = [str(one["says"]) for one in trial.events if one.get("type") == "warning"]
    assert any("5 WebSockets of 8.0.5-" in says for says in warned), warned
