"""What is done about app hosts that cannot be reached, as it is declared."""

from __future__ import annotations

import pytest

from changeover.policy.absence import policy


@pytest.mark.parametrize(
    ("declared", "there", "total", "goes_on"),
    [
        ("fail", 2, 2, True),
        ("fail", 1, 2, False),
        ("skip", 1, 9, True),
        ("skip", 0, 2, False),
        ("quorum=50%", 1, 2, True),
        ("quorum=51%", 1, 2, False),
        ("quorum=67%", 2, 3, False),
        ("quorum=66%", 2, 3, True),
        ("quorum=100%", 3, 3, True),
        ("quorum=1%", 0, 3, False),
    ],
)
def test_a_policy_says_how_many_hosts_are_enough(
    declared: str, there: int, total: int, *, goes_on: bool
) -> None:
    found = policy(declared)

    assert str(found) == declared
    assert found.allows(there, total) is goes_on


@pytest.mark.parametrize("text", ["", "Skip", "quorum", "quorum=0%", "quorum=101%", "quorum=50"])
def test_what_is_no_policy_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="fail, skip, or quorum=N%"):
        policy(text)
