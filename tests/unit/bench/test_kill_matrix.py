"""The counts of struck runs: by kind, and as a whole."""

from __future__ import annotations

from collections import Counter

from bench.kill_matrix import Tally
from tests.faults.stage import Ended
from tests.faults.trial import Found, Moment


def trial(number: int, *codes: int, differs: int = 0, failed: int = 0, by_hand: int = 0) -> Tally:
    moment = Moment(
        verb="deploy", kind="controller-after", number=number, way="forward", root="first"
    )
    struck, *ended = (Ended(words="deploy", code=code, seconds=1, said="") for code in codes)
    load = {"sent": 100, "failed": failed, "off": 0, "lost": 0}
    found = Found(
        struck=struck, ended=ended, differs=["+ file"] * differs, load=load, by_hand=by_hand
    )
    return Tally.of(moment, found)


def test_trials_are_counted_with_the_moments_they_cover_and_all_exit_codes() -> None:
    tally = sum([trial(7, -9, 0), trial(3, -9, 4, by_hand=1), trial(12, 130, 0)], Tally())

    assert tally.moments == [7, 3, 12]
    assert (tally.red, tally.by_hand, tally.sent) == (1, 1, 300)
    assert tally.codes == Counter({-9: 2, 0: 2, 130: 1, 4: 1})
    assert str(tally).startswith("3 trials at 3 to 12: 1 red, differ 0, by hand 1, failed 0 of 300")


def test_a_trial_is_red_for_a_difference_and_for_a_failed_request() -> None:
    tally = trial(1, -9, 0, differs=3) + trial(2, -9, 0, failed=2)

    assert (tally.red, tally.differences, tally.failed) == (2, 1, 2)


def test_nothing_tried_is_told_as_nothing() -> None:
    assert str(Tally()).startswith("0 trials")
