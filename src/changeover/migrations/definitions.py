"""Compare definitions as `pg_dump` writes them, wherever columns stand in their tables. Pure."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGINS = re.compile(r"^CREATE (?:UNLOGGED |FOREIGN )?TABLE (?P<table>\S+) \($")


def in_any_order(schema: str) -> str:
    """Return a schema with the lines of each table's columns sorted.

    A column that was dropped and added again is its table's last one: the same columns, and another
    text.
    """
    return "\n".join(_sorted(schema.splitlines()))


def reordered(wanted: str, found: str) -> tuple[str, ...]:
    """Return the tables whose columns are the same and stand in another order."""
    before, after = _tables(wanted), _tables(found)
    return tuple(
        name
        for name, lines in before.items()
        if name in after and after[name] != lines and sorted(after[name]) == sorted(lines)
    )


def difference(wanted: str, found: str, lines: int) -> str:
    """Return how two schemas differ, the order of columns aside, in this many lines at most."""
    before, after = (in_any_order(each).splitlines() for each in (wanted, found))
    shown = difflib.unified_diff(before, after, "wanted", "found", n=1, lineterm="")
    return "\n".join(list(shown)[:lines])


def _tables(schema: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    table = ""
    for line in schema.splitlines():
        if begun := BEGINS.match(line):
            table = begun["table"]
            found[table] = []
        elif line.startswith(")"):
            table = ""
        elif table:
            found[table].append(line.rstrip(","))
    return found


def _sorted(lines: list[str]) -> Iterator[str]:
    inside: list[str] | None = None
    for line in lines:
        if inside is None:
            yield line
            inside = [] if BEGINS.match(line) else None
        elif line.startswith(")"):
            yield from sorted(inside)
            yield line
            inside = None
        else:
            inside.append(line.rstrip(","))
