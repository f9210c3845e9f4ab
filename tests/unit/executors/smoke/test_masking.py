"""An answer that a red check shows tells what went wrong, and no secret."""

from __future__ import annotations

import pytest

from changeover.executors.smoke.masking import excerpt


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (
            '{"error": {"code": "RATE_LIMIT_EXCEEDED"}}',
            '{"error": {"code": "RATE_LIMIT_EXCEEDED"}}',
        ),
        ('{"code": "UNAUTHORIZED"}', '{"code": "UNAUTHORIZED"}'),
        ("failed: code=NOT_FOUND&state=x1y2", "failed: code=NOT_FOUND&state=[REDACTED]"),
        ('{"code": "4/0AbUR2VMeHxU"}', '{"code": "[REDACTED]"}'),
        ('{"code": "ABC123"}', '{"code": "[REDACTED]"}'),
        ('{"code": 482913}', '{"code": "[REDACTED]"}'),
        ('{"state": "RATE_LIMIT"}', '{"state": "[REDACTED]"}'),
        ("/callback?code=4/0AbUR2VMeHxU", "/callback?code=[REDACTED]"),
    ],
)
def test_the_name_of_an_error_is_shown_and_a_code_that_lets_in_is_not(
    body: str, shown: str
) -> None:
    assert excerpt(body) == shown
