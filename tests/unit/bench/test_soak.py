"""What a soak makes of what it recorded: where time goes, and who took a WebSocket."""

from __future__ import annotations

import pytest
from bench.soak import misplaced
from bench.soak_times import Requests, Span, steps

from changeover.load.history import Socket
from changeover.load.judgement import Move

AT = "2026-01-01T00:00:0{}.000+00:00"
OLD, NEW = "8.0.0-aaaaaaaa", "8.0.90-bbbbbbbb"
MOVES = [Move(begun=100.0, done=100.1, after=NEW), Move(begun=200.0, done=200.1, after=OLD)]


def test_a_request_counts_for_the_moment_it_was_due_and_once() -> None:
    requests = Requests((float(due), due * 10.0) for due in range(10))

    within = requests.within([(2.0, 5.0), (4.0, 6.0)])

    assert (within.count, within.p50, within.longest) == (4, 40.0, 50.0)
    assert requests.all.count == 10


def test_around_a_switch_is_shortly_before_it_until_what_it_held_up_is_answered() -> None:
    requests = Requests((due / 10, 1.0) for due in range(100))
    spans = [Span("deploy", "switch", 5.0, 5.2), Span("deploy", "smoke", 8.0, 9.0)]

    # From half a second before it to a second and a half after it, ten a second.
    assert requests.around(spans).count == 22


def test_a_step_lasts_from_its_intent_to_its_end() -> None:
    events = [
        {"type": "step-intent", "step": "switch", "at": AT.format(1)},
        {"type": "step-done", "step": "switch", "at": AT.format(3)},
        {"type": "step-intent", "step": "smoke", "at": AT.format(3)},
    ]

    (span,) = steps("deploy", events)

    assert (span.step, span.ended - span.begun) == ("switch", 2.0)


@pytest.mark.parametrize(
    ("start", "release", "wrong"),
    [
        (101.0, NEW, 0),
        (101.0, OLD, 1),
        (101.0, None, 0),
        (150.0, OLD, 1),
        (199.0, OLD, 0),  # it may have been taken right after the second move
        (99.0, OLD, 0),
        (201.0, NEW, 1),
    ],
)
def test_a_websocket_that_is_asked_for_after_a_move_is_the_new_colours(
    start: float, release: str | None, wrong: int
) -> None:
    socket = Socket(number=1, start=start, end=start + 50, release=release, code=1001)

    assert misplaced([socket], MOVES) == wrong
