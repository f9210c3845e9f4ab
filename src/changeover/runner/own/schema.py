"""Definitions as SQL, compared: which lines were added and taken away, comments and columns' order aside."""

from __future__ import annotations

import difflib
import hashlib
import re
from typing import TYPE_CHECKING

from changeover.migrations import definitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOWN_LINES = 40
DIFF_MARKS = ("---", "+++", "@@")
# What pg_dump writes above each definition.
HEADER = re.compile(
    r"-- Name: (?P<name>.+); Type: (?P<type>[^;]+); Schema: (?P<schema>[^;]+); Owner:"
)
# What belongs to another object, which the name begins with: TABLE users, COLUMN users.name.
BELONGING = {"ACL", "COMMENT", "SECURITY LABEL"}


def digest(schema: str, without: Sequence[str]) -> str:
    """Return the sha256 of definitions, by which the ledger knows them; as ``changes`` reads them."""
    return hashlib.sha256("\n".join(_lines(schema, without)).encode()).hexdigest()


def changes(before: str, after: str, *, without: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the lines of definitions that were added (+) and taken away (-).

    Args:
        before: Definitions as ``pg_dump`` writes them.
        after: The same later.
        without: Tables to leave out with all that belongs to them, as ``table`` or ``schema.table``.
    """
    one, other = (list(_lines(text, without)) for text in (before, after))
    return tuple(
        line
        for line in difflib.unified_diff(one, other, n=0, lineterm="")
        if not line.startswith(DIFF_MARKS)
    )


def shown(lines: Sequence[str]) -> str:
    """Return changed lines for a person, the first of them."""
    more = len(lines) - SHOWN_LINES
    return "\n".join([*lines[:SHOWN_LINES], *([f"… {more} more"] if more > 0 else [])])


def in_full(tables: Sequence[str]) -> frozenset[str]:
    """Return the names of tables with their schema, ``public`` where none is written."""
    return frozenset(each if "." in each else f"public.{each}" for each in tables)


def _lines(schema: str, without: Sequence[str]) -> Iterator[str]:
    """Yield the lines that define something, but for those of certain tables."""
    left_out = in_full(without)
    inside = False
    for line in definitions.in_any_order(schema).splitlines():
        if header := HEADER.match(line):
            inside = _owner(header) & left_out != frozenset()
        indexed = any(f" ON {table} USING " in line for table in left_out)
        if line.strip() and not line.lstrip().startswith("--") and not inside and not indexed:
            yield line


def _owner(header: re.Match[str]) -> frozenset[str]:
    """Return the tables that a definition may belong to, with their schema."""
    words = header["name"].split(" ")
    if header["type"] in BELONGING:
        words = words[1:] or words
    first = words[0].split(".")[0]
    names = {first}
    if "SEQUENCE" in header["type"] or header["name"].startswith("SEQUENCE "):
        # table_column_seq: where the table's name ends cannot be seen
        parts = first.removesuffix("_seq").split("_")
        names |= {"_".join(parts[:number]) for number in range(1, len(parts))}
    return frozenset(f"{header['schema']}.{name}" for name in names)
