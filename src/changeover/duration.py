"""Spans of time, as declarations write them and as people read them."""

from __future__ import annotations

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WRITTEN = r"\d+[smhd]"


def seconds(text: str) -> int:
    """Return the seconds of ``90s``, ``30m``, ``24h`` or ``2d``.

    Raises:
        ValueError: It is written in another way.
    """
    if re.fullmatch(WRITTEN, text) is None:
        raise ValueError(f"{text!r} is not a duration such as 24h")
    return int(text[:-1]) * UNITS[text[-1]]


def words(span: float) -> str:
    """Return a span with its two largest units, such as ``23 h 58 min``; seconds are rounded up."""
    left = int(-(-span // 1))
    parts: list[str] = []
    for name, unit in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, unit)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
