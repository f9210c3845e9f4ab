"""A number and its noun, as one writes them."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return ``1 host``, ``2 hosts``; ``many`` where an s at the end is not enough.

    Args:
        number: How many.
        one: The noun of one, with what else has to agree: ``migration adds``.
        many: The same of several.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def about_rows(rows: int | None) -> str:
    """Return about how many rows a table has, by what the server last counted."""
    return "rows not counted yet" if rows is None else f"about {counted(rows, 'row')}"
