"""Which shares of clients are shares, and what is red of a new colour beside the old one."""

from __future__ import annotations

import pytest

from changeover.policy import canary, gates
from changeover.policy.canary import Gates
from changeover.policy.gates import Figures

GATES = Gates(requests=20, errors_percent=1.0, errors_times=2.0, slower_times=1.5, slower_ms=50)


def figures(requests: int, errors: int = 0, *, fast: int = 10, slow: int | None = None) -> Figures:
    """Return answers of which the slowest two in a hundred took ``slow`` milliseconds."""
    found = Figures()
    few = requests // 50 if slow is not None else 0
    spent = {str(fast): requests - few, **({str(slow): few} if few else {})}
    found.add({"requests": requests, "errors": errors, "milliseconds": spent})
    return found


def red(new: Figures, old: Figures, *, last: bool = True) -> str:
    return gates.red(GATES, new, old, last=last) or ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no share"),
        ("0", "and not 0"),
        ("101", "and not 101"),
        ("5,5", "5 comes after 5"),
        ("50,25", "25 comes after 50"),
        ("5,x", "'x' is no share"),
        ("-5", "'-5' is no share"),
        ("2.5", "'2.5' is no share"),
        ("²", "'²' is no share"),
    ],
)
def test_shares_that_cannot_be_used_are_refused_with_the_one_that_cannot(
    text: str, why: str
) -> None:
    with pytest.raises(ValueError, match=r"share") as refused:
        canary.written(text)

    assert why in str(refused.value)


def test_shares_are_percents_that_grow() -> None:
    assert canary.written("5, 25,100") == (5, 25, 100)


def test_a_colour_that_does_as_the_old_one_passes() -> None:
    assert not red(figures(500, 2, slow=80), figures(4000, 16, slow=70))
    assert gates.lacking(GATES, figures(500), figures(4000), alone=False) is None


def test_errors_over_the_limit_are_red_whatever_the_old_colour_does() -> None:
    assert "8 of 500 answers are 5xx, over 1%: 1.6%" in red(figures(500, 8), figures(500, 100))


def test_a_single_error_is_borne_however_few_answers_there_are() -> None:
    for few in (1, 3, 20, 99):
        assert not red(figures(few, 1), figures(0), last=False)
        assert not red(figures(few, 1), figures(400))
        assert not gates.red(Gates(errors_percent=0.5), figures(few, 1), figures(400), last=True)
    assert "2 of 20 answers are 5xx, over 1%: 10%" in red(figures(20, 2), figures(400))


def test_none_is_borne_where_the_limit_is_none() -> None:
    strict = Gates(errors_percent=0)

    for answers in (3, 5000):
        why = gates.red(strict, figures(answers, 1), figures(0), last=False)
        assert why is not None
        assert "over 0%" in why


def test_before_the_end_errors_are_red_where_chance_cannot_tell_them() -> None:
    # What a version of 1% gives once in a thousand shares, and what it gives every other time.
    assert "2 of 3 answers" in red(figures(3, 2), figures(0), last=False)
    assert "30 of 30 answers" in red(figures(30, 30), figures(0), last=False)
    assert not red(figures(150, 2), figures(400, 2), last=False)
    assert not red(figures(500, 8), figures(4000, 40), last=False)
    assert red(figures(500, 8), figures(4000, 40))


def test_before_the_end_the_old_colour_tells_what_chance_is() -> None:
    assert "over 2 times the 0.0" in red(figures(100, 3), figures(1900), last=False)
    # Whose few answers say little of how often it fails.
    assert not red(figures(100, 3), figures(60), last=False)
    assert not red(figures(100, 3), figures(1900, 19), last=False)


def test_far_more_errors_than_the_old_colour_would_have_given_are_red_below_the_limit() -> None:
    assert "over 2 times the 1.0" in red(figures(1000, 6), figures(10_000, 10))
    # One alone is held against nobody.
    assert not red(figures(1000, 1), figures(10_000, 0))


def test_a_colour_is_slow_beside_the_old_one_in_the_same_time() -> None:
    assert "take 400 ms and more, over 1.5 times" in red(
        figures(500, slow=400), figures(500, slow=100)
    )
    assert not red(figures(500, slow=400), figures(500, slow=300))
    # Twice as long, and nobody notices.
    assert not red(figures(500, slow=20), figures(500, slow=10))


def test_few_answers_are_held_to_their_time_at_the_end_alone() -> None:
    slow, old = figures(50, fast=900), figures(50)

    assert not red(slow, old, last=False)
    assert red(slow, old)


def test_the_first_answers_of_a_fresh_process_are_held_against_it_where_there_are_many() -> None:
    fresh = Figures()
    fresh.add({"requests": 71, "errors": 0, "milliseconds": {"3": 69, "100": 2}})

    assert not red(fresh, figures(500))
    assert "the slowest 1% of the answers take 400 ms" in red(figures(500, slow=400), figures(500))


def test_no_traffic_is_no_pass_and_names_the_colour_that_has_none() -> None:
    assert gates.lacking(GATES, figures(3), figures(500), alone=False) == (
        "the new colour answered 3 requests of 20"
    )
    assert gates.lacking(GATES, figures(500), figures(1), alone=False) == (
        "the old colour answered 1 request of 20"
    )
    assert gates.lacking(GATES, figures(500), figures(0), alone=True) is None
