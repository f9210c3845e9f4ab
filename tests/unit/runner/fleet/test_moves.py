"""How a host that was left out gets to what the others serve."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.runner.fleet.test_survey import state

from changeover.runner.fleet.moves import Move, moves

SIX, SEVEN, EIGHT = "6.0.0-66666666", "7.0.0-77777777", "8.0.0-88888888"


@pytest.mark.parametrize(
    ("has", "history", "previous", "live", "expected"),
    [
        pytest.param(EIGHT, (SEVEN,), SEVEN, EIGHT, [], id="it is there"),
        pytest.param(SEVEN, (SIX,), SEVEN, EIGHT, [("on", EIGHT)], id="it missed one"),
        pytest.param(SIX, (), SEVEN, EIGHT, [("on", SEVEN), ("on", EIGHT)], id="it missed two"),
        pytest.param(EIGHT, (SEVEN,), SIX, SEVEN, [("back", SEVEN)], id="the others went back"),
        pytest.param(SEVEN, (), None, EIGHT, [("on", EIGHT)], id="the others were finalized"),
        pytest.param(SEVEN, (), None, None, [("back", None)], id="nothing is live any more"),
        pytest.param(
            EIGHT,
            (SIX, SEVEN),
            SEVEN,
            "9.0.0-99999999",
            [("back", SEVEN), ("on", "9.0.0-99999999")],
            id="they went back, and on to another",
        ),
    ],
)
def test_a_host_takes_the_way_that_the_others_took(
    has: str,
    history: tuple[str, ...],
    previous: str | None,
    live: str | None,
    expected: list[tuple[str, str | None]],
) -> None:
    behind = dataclasses.replace(state("app2", has, has), history=history)

    assert [(each.kind, each.colour) for each in moves(behind, live, previous)] == expected


def test_what_nobody_confirmed_is_taken_back_first() -> None:
    lost = dataclasses.replace(
        state("app2", EIGHT, SEVEN), pending={"kind": "switch", "from": SEVEN, "to": EIGHT}
    )

    assert list(moves(lost, EIGHT, SEVEN)) == [
        Move(kind="settle", colour=SEVEN),
        Move(kind="on", colour=EIGHT),
    ]
