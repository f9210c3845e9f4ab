"""A batch's size follows the time that batches take."""

from __future__ import annotations

import pytest

from changeover.executors.migrate.backfill.pacing import LARGEST, Pace


def walked(pace: Pace, seconds_a_key: float, batches: int) -> int:
    """Walk with rows of one cost, stopped where a batch would take too long; return the size."""
    for _ in range(batches):
        seconds = pace.size * seconds_a_key
        if pace.stop_seconds is not None and seconds > pace.stop_seconds:
            pace.overran()
        else:
            pace.took(pace.size, seconds)
    return pace.size


@pytest.mark.parametrize("size", [1, 100, 5000, 90_000])
@pytest.mark.parametrize("seconds_a_key", [0.01, 0.001, 0.00002])
def test_it_comes_to_what_the_target_allows(size: int, seconds_a_key: float) -> None:
    found = walked(Pace(size, 0.1), seconds_a_key, 30)

    assert found == pytest.approx(0.1 / seconds_a_key, rel=0.02, abs=1)


def test_rows_that_become_dearer_shrink_it_and_cheaper_ones_let_it_grow_again() -> None:
    pace = Pace(5000, 0.1)

    sizes = [walked(pace, cost, 30) for cost in (0.00002, 0.002, 0.00002)]

    assert sizes == [5000, 50, pytest.approx(5000, abs=1)]


def test_it_grows_by_half_at_a_time_and_never_beyond_its_bound() -> None:
    pace = Pace(1000, 0.1)
    sizes = []
    for _ in range(20):
        pace.took(pace.size, 0.000001)
        sizes.append(pace.size)

    assert sizes[:3] == [1000, 1501, 2252]
    assert sizes[-1] == LARGEST


def test_a_key_that_takes_too_long_by_itself_is_not_stopped() -> None:
    pace = Pace(5000, 0.1)
    stops = []
    for _ in range(10):
        stops.append(pace.stop_seconds)
        pace.overran()

    assert stops == [pytest.approx(0.15)] * 6 + [None] * 4
    assert walked(pace, 3.0, 5) == 1


def test_where_every_batch_costs_more_than_the_target_it_does_not_come_to_single_keys() -> None:
    pace, sizes = Pace(5000, 0.1), []
    for _ in range(60):
        pace.took(pace.size, 0.15 + pace.size * 0.00001)
        sizes.append(pace.size)

    assert min(sizes[30:]) > 500


def test_it_never_goes_below_what_it_is_told() -> None:
    assert walked(Pace(500, 0.001, 500), 0.01, 30) == 500
