"""Two tables walked side by side: both servers sort, and one row of each is held at a time.

A row is a hash of its key and a hash of its content. Both databases give theirs in the order of the
key's hash, which is a number and so has the same order on either side, whatever the collation. A
key takes two hashes of 64 bits: among ten million rows two keys meet by chance once in 10^24 tables.

Few rows of a large table differ, most often. So both databases first sum up the contents in parts
that the key's hash decides, and only the parts whose sums differ are sorted and walked.
"""

# ruff: noqa: S608 - names in statements come quoted from the catalog

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.agent.postgres import content, large_pages, relations
from changeover.agent.postgres.tools import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.agent.postgres.session import Session

# To make JSON of a value may be a cast of the app's own, and it would run as a superuser.
KEYS = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, json_agg(a.attname ORDER BY k.place) AS columns,
string_agg(format(CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN '%1$L, r.%1$I'
ELSE '%1$L, format(''%%s'', r.%1$I)' END, a.attname), ', ' ORDER BY k.place) AS shown
FROM pg_constraint p JOIN pg_class c ON c.oid = p.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(p.conkey) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
JOIN pg_type t ON t.oid = a.atttypid
WHERE p.contype = 'p' GROUP BY 1"""
LARGE_OBJECTS = f"""
SELECT oid::bigint AS first, 0 AS second, h AS content, {{key}} AS clear FROM ({large_pages.HASHES}) x"""
PARTS = 1 << 14


@dataclass(frozen=True, slots=True)
class Key:
    """The primary key of a table: its columns, in order, and the SQL that shows them by name."""

    columns: list[str]
    shown: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: where it stands, what it holds, and its key where that was asked for."""

    place: tuple[int, int]
    content: int
    key: str | None


@dataclass(slots=True)
class Tally:
    """What two tables differ by.

    Args:
        most: How many example keys of each kind to keep.
    """

    most: int
    only_kept: int = 0
    only_live: int = 0
    changed: int = 0
    examples: dict[str, list[Any]] = field(default_factory=dict)

    def take(self, kept: Row | None, live: Row | None) -> None:
        """Count one pair."""
        if live is None:
            self.only_kept += 1
            self._show("only_kept", kept)
        elif kept is None:
            self.only_live += 1
            self._show("only_live", live)
        elif kept.content != live.content:
            self.changed += 1
            self._show("changed", live)

    def _show(self, kind: str, row: Row | None) -> None:
        if row is None or row.key is None:
            return
        shown = self.examples.setdefault(kind, [])
        if len(shown) < self.most:
            shown.append(json.loads(row.key))


def keys(session: Session) -> dict[str, Key]:
    """Return every primary key, by table."""
    return {row["name"]: Key(row["columns"], row["shown"]) for row in session.rows(KEYS)}


def by_key(table: str, key: Key, columns: Sequence[str], *, shown: bool) -> str:
    """Return the query for a table's rows, each where the hash of its key says.

    Args:
        table: Its quoted name.
        key: Its primary key.
        columns: The columns that are compared, the key's among them.
        shown: Whether rows carry their key in clear, too.
    """
    text = "ROW({})::text".format(", ".join(f"r.{identifier(column)}" for column in key.columns))
    clear = f"json_build_object({key.shown})::text" if shown else "NULL"
    return (
        f"SELECT hashtextextended({text}, 0) AS first, hashtextextended({text}, 1) AS second, "
        f"{content.row_hash(list(columns))} AS content, {clear} AS clear "
        f"FROM {relations.source(table)} AS r"
    )


def by_content(table: str, columns: Sequence[str]) -> str:
    """Return the query for the rows of a table without a key: each stands where its content says."""
    hashed = content.row_hash(list(columns))
    return (
        f"SELECT {hashed} AS first, 0 AS second, {hashed} AS content, NULL AS clear "
        f"FROM {relations.source(table)} AS r"
    )


def large_objects(*, shown: bool) -> str:
    """Return the query for the large objects of a database, by their number."""
    return LARGE_OBJECTS.format(key="json_build_object('oid', oid)::text" if shown else "NULL")


def tallied(kept: Session, live: Session, rows: str, most: int) -> Tally:
    """Count what two databases differ by in one table.

    Args:
        kept: A session in the one.
        live: A session in the other.
        rows: The query for the table's rows, as ``by_key`` or ``by_content`` give it.
        most: How many example keys of each kind to keep.
    """
    sums = f"SELECT first & {PARTS - 1}, 0, sum(content), NULL FROM ({rows}) AS x GROUP BY 1 ORDER BY 1"
    pairs = _paired(_rows(kept, sums), _rows(live, sums))
    parts = [row.place[0] for one, other in pairs if one != other and (row := one or other)]
    tally = Tally(most)
    walked = (
        f"SELECT first, second, content, clear FROM ({rows}) AS x JOIN unnest("
        f"{literal(_array(parts))}::bigint[]) AS part ON first & {PARTS - 1} = part ORDER BY 1, 2"
    )
    for old, new in _paired(_rows(kept, walked), _rows(live, walked)):
        tally.take(old, new)
    return tally


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _rows(session: Session, query: str) -> Iterator[Row]:
    for line in session.lines(f"COPY ({query}) TO STDOUT"):
        first, second, held, key = line.split("\t")
        # COPY doubles backslashes; JSON holds nothing else that COPY would write differently
        shown = None if key == "\\N" else key.replace("\\\\", "\\")
        yield Row((int(first), int(second)), int(held), shown)


def _paired(kept: Iterator[Row], live: Iterator[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Pair two ascending streams by place, repetitions one by one; ``None`` where one has none."""
    old, new = next(kept, None), next(live, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.place < new.place):
            yield old, None
            old = next(kept, None)
        elif old is None or new.place < old.place:
            yield None, new
            new = next(live, None)
        else:
            yield old, new
            old, new = next(kept, None), next(live, None)
