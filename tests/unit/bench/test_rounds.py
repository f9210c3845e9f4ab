"""Ratios are taken within a round, and what was not measured is told as that."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bench.rounds import Rounds


def test_a_ratio_is_that_of_one_round_and_not_of_two_medians() -> None:
    rounds = Rounds(taken=defaultdict(list, {"ours": [1.0, 20.0, 3.0], "psql": [1.0, 10.0, 1.0]}))

    assert rounds.ratio("ours", "psql") == 2.0
    assert rounds.table(["ours"], "psql")[1].removeprefix("ours").split() == [
        *("3", "3.000", "1.000", "20.000"),
        *("2.00", "(1.00..3.00)"),
    ]


def test_a_tool_that_is_not_there_is_told_with_the_reason() -> None:
    rounds = Rounds(taken=defaultdict(list, {"ours": [1.0]}), absent={"sqitch": "apt-get install"})

    assert rounds.table(["sqitch", "never begun"], "ours")[1:] == [
        f"{'sqitch':<44} not measured: apt-get install"
    ]
