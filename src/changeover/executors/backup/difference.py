"""What a database beside the live one and the live one differ by, as records and in words."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Event = dict[str, Any]

KEY_CHARACTERS = 80
EXAMPLES = {
    "only_kept": "only in the kept one",
    "only_live": "only in the live one",
    "changed": "with other values",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDifference:
    """One table that is not the same in both databases.

    Args:
        table: Its quoted name.
        rows_kept: Its rows in the kept database; ``None`` where it has no such table.
        rows_live: Likewise in the live one.
        only_kept: Rows whose key the live database does not have.
        only_live: Rows whose key the kept one does not have.
        changed: Rows that both have by key, with other values.
        key: The columns of the primary key; ``None`` where rows are told apart by all they hold,
            so that a changed one counts on both sides.
        uncompared: Columns that only one of both has.
        filled: In how many rows those hold a value that was written, by column.
        examples: Some keys of each kind, where they were asked for.
    """

    table: str
    rows_kept: int | None
    rows_live: int | None
    only_kept: int
    only_live: int
    changed: int
    key: tuple[str, ...] | None
    uncompared: tuple[str, ...]
    filled: Mapping[str, int]
    examples: Mapping[str, Sequence[Mapping[str, Any]]]

    @classmethod
    def read(cls, table: str, answer: Event) -> Self:
        """Read one table of the agent's answer."""
        key = answer["key"]
        plain = answer | {"key": None if key is None else tuple(key)}
        columns = {"uncompared": tuple(answer["uncompared"]), "filled": answer.get("filled", {})}
        return cls(table=table, **plain | columns)

    def words(self) -> str:
        """Return a line a fact."""
        if self.rows_live is None or self.rows_kept is None:
            where, rows = (
                ("kept", self.rows_kept) if self.rows_live is None else ("live", self.rows_live)
            )
            return f"{self.table}: only the {where} one has this table, {counted(rows or 0, 'row')}"
        facts = f"{self.only_kept} only in the kept one, {self.only_live} only in the live one"
        told = (
            f"{self.changed} changed" if self.key else "no key, so a changed row is on both sides"
        )
        lines = [f"{self.table}: {facts}, {told}"]
        if self.uncompared:
            named = (self._held(column) for column in self.uncompared)
            lines.append(f"  not compared, as only one has it: {', '.join(named)}")
        for kind, said in EXAMPLES.items():
            lines += [f"  {said}: {_key(key)}" for key in self.examples.get(kind, ())]
        return "\n".join(lines)

    def _held(self, column: str) -> str:
        rows = self.filled.get(column)
        return f"{column} (written in {counted(rows, 'row')})" if rows else column


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two databases differ by.

    Args:
        kept: The database beside the live one.
        kind: Why it is there: ``failed``, ``warm`` or ``leftover``.
        live: The live one.
        tables: The tables that are not the same.
        equal: How many tables are the same.
        sequences: Those that stand elsewhere by name: the last value, or ``None``, of ``kept`` and ``live``.
        schema: The lines of the definitions that differ, at most 400: ``-`` has the kept database,
            ``+`` the live one.
        schema_lines: How many there are.
    """

    kept: str
    kind: str
    live: str
    tables: tuple[TableDifference, ...]
    equal: int
    sequences: Mapping[str, Mapping[str, int | None]]
    schema: tuple[str, ...]
    schema_lines: int

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        tables = tuple(
            TableDifference.read(name, table) for name, table in answer["tables"].items()
        )
        rest = {name: answer[name] for name in ("kept", "kind", "live", "equal", "schema_lines")}
        positions = answer.get("sequences", {})  # agents before that did not tell
        return cls(**rest, tables=tables, sequences=positions, schema=tuple(answer["schema"]))

    @property
    def same(self) -> bool:
        """Tell whether nothing differs."""
        return not self.tables and not self.sequences and not self.schema_lines

    def as_json(self) -> Event:
        """Return the difference as plain JSON."""
        return {**asdict(self), "same": self.same}

    def words(self) -> str:
        """Return everything that differs, or that nothing does."""
        if self.same:
            return f"{self.kept} and {self.live}, the live one, hold the same"
        lines = [f"{self.kept} (kept) and {self.live} (live) differ:"]
        for table in self.tables:
            lines += [f"  {line}" for line in table.words().splitlines()]
        lines.append(f"  {counted(self.equal, 'table holds', 'tables hold')} the same rows")
        lines += [
            f"  sequence {name}: last value {_last(at['kept'])} in the kept one,"
            f" {_last(at['live'])} in the live one"
            for name, at in self.sequences.items()
        ]
        if not self.schema_lines:
            return "\n".join([*lines, "  the definitions are the same"])
        lines.append("  the definitions differ (- as kept, + as live):")
        lines += [f"    {line}" for line in _statements(self.schema)]
        left = self.schema_lines - len(self.schema)
        return "\n".join([*lines, f"    and {counted(left, 'more line')}"] if left else lines)


def _last(value: int | None) -> str:
    return "none" if value is None else str(value)


def _statements(lines: Sequence[str]) -> Sequence[str]:
    """Leave out the headings that pg_dump writes over each statement, where anything else is left."""
    kept = [
        line
        for line in lines
        if not line[1:].startswith("-- Name: ") and line[1:] not in {"", "--"}
    ]
    return kept if any(line.startswith(("-", "+")) for line in kept) else lines


def _key(key: Mapping[str, Any]) -> str:
    pairs = (f"{column} = {json.dumps(value, ensure_ascii=False)}" for column, value in key.items())
    text = ", ".join(pairs)
    return text if len(text) <= KEY_CHARACTERS else f"{text[:KEY_CHARACTERS]}…"
