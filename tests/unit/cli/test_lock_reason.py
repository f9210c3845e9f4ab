"""A lock is taken over for a reason, and one that says nothing is none."""

from __future__ import annotations

import pytest

from changeover.cli import lock
from changeover.errors import InvalidInput


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines"])
def test_a_lock_is_not_taken_over_without_a_reason(reason: str) -> None:
    with pytest.raises(InvalidInput, match="--reason has to be one line of text") as caught:
        lock.steal(reason=reason, env="nowhere")

    assert caught.value.hint == 'changeover lock steal --reason "WHY"'
