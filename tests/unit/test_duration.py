from __future__ import annotations

import pytest

from changeover import duration


@pytest.mark.parametrize(
    ("text", "seconds", "words"),
    [
        ("0s", 0, "0 s"),
        ("90s", 90, "1 min 30 s"),
        ("24h", 86_400, "1 d"),
        ("26h", 93_600, "1 d 2 h"),
        ("60m", 3_600, "1 h"),
    ],
)
def test_a_span_is_read_and_told(text: str, seconds: int, words: str) -> None:
    assert (duration.seconds(text), duration.words(seconds)) == (seconds, words)


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "24 h"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 24h"):
        duration.seconds(text)
