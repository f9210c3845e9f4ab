"""Read a migration's checks file, ``NNN_name.checks.yml``; whatever is not understood is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from changeover.document import parse
from changeover.migrations.checks import (
    Check,
    Checks,
    Column,
    Delta,
    Invariant,
    NotNull,
    Orphans,
    Rows,
    Sequences,
    Unchanged,
)
from changeover.migrations.query import NoQuery, Query, one_select
from changeover.migrations.records import Relation
from changeover.release.figures import Declared
from changeover.release.problems import invalid, validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.document import Document, KeyPath

NAME = r'[^\s."]+'
TABLE = re.compile(rf"(?:(?P<schema>{NAME})\.)?(?P<name>{NAME})")
COLUMN = re.compile(rf"(?P<table>(?:{NAME}\.)?{NAME})\.(?P<name>{NAME})")
DELTA = re.compile(r"(?P<comparison>>=|<=|>|<) ?(?P<rows>-?\d+)")
ALL = "all"


def _delta(value: object) -> Delta:
    if isinstance(value, int) and not isinstance(value, bool):
        return Delta(comparison="=", rows=value)
    if isinstance(value, str) and (parts := DELTA.fullmatch(value)):
        comparisons: dict[str, Literal[">=", "<=", ">", "<"]]
        comparisons = {">=": ">=", "<=": "<=", ">": ">", "<": "<"}
        return Delta(comparison=comparisons[parts["comparison"]], rows=int(parts["rows"]))
    raise ValueError(f'must be a whole number, or such as ">=0", and it is {value!r}')


def _tables(value: object) -> tuple[str, ...] | None:
    if value == ALL:
        return None
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise ValueError(f"must be `{ALL}` or a list of tables")


def _in_full(value: object) -> object:
    return {"after": value} if isinstance(value, str) else value


class _Queries(Declared):
    before: str | None = None
    after: str | None = None

    @model_validator(mode="after")
    def _something(self) -> _Queries:
        if self.before is None and self.after is None:
            raise ValueError("needs a query")
        return self


class _ChecksFile(Declared):
    rows: dict[str, Annotated[Delta, PlainValidator(_delta)]] = Field(default_factory=dict)
    orphans: dict[str, str] = Field(default_factory=dict)
    not_null: tuple[str, ...] = ()
    sequences: Annotated[tuple[str, ...] | None, PlainValidator(_tables)] = ()
    invariants: dict[str, Annotated[_Queries, BeforeValidator(_in_full)]] = Field(
        default_factory=dict
    )


def read(text: str, path: Path) -> Checks:
    """Read the checks that ``text``, the content of ``path``, declares.

    Raises:
        DocumentInvalid: It is not YAML, or a key stands there twice.
        DeclarationInvalid: It has mistakes; each is named with its line.
    """
    document = parse(text, path)
    reading = _Reading(document)
    items = tuple(reading.items(validate(_ChecksFile, document, {})))
    if not items and not reading.problems:
        reading.problems.append(((), "declares no check"))
    if reading.problems:
        raise invalid(document, reading.problems)
    return Checks(path=path, items=items)


class _Reading:
    """Turns a declaration into checks, and gathers what is wrong with its names and queries."""

    def __init__(self, document: Document) -> None:
        self._lines = document.lines
        self.problems: list[tuple[KeyPath, str]] = []

    def items(self, declared: _ChecksFile) -> Iterator[Check]:
        """Give the checks in the order they are taken: the cheap ones first."""
        yield from self._rows(declared)
        yield from self._not_null(declared)
        yield from self._orphans(declared)
        yield from self._sequences(declared)
        for name, queries in declared.invariants.items():
            if invariant := self._invariant(name, queries):
                yield invariant

    def _rows(self, declared: _ChecksFile) -> Iterator[Check]:
        for name, delta in declared.rows.items():
            if table := self._table(keys := ("rows", name), name):
                yield Rows(line=self._lines[keys], table=table, expected=delta)

    def _not_null(self, declared: _ChecksFile) -> Iterator[Check]:
        for index, name in enumerate(declared.not_null):
            if column := self._column(keys := ("not_null", index), name):
                yield NotNull(line=self._lines[keys], column=column)

    def _orphans(self, declared: _ChecksFile) -> Iterator[Check]:
        for name, other in declared.orphans.items():
            keys = ("orphans", name)
            child, parent = self._column(keys, name), self._column(keys, other)
            if child and parent:
                yield Orphans(line=self._lines[keys], child=child, parent=parent)

    def _sequences(self, declared: _ChecksFile) -> Iterator[Check]:
        if declared.sequences is None:
            yield Sequences(line=self._lines["sequences",], table=None)
        for index, name in enumerate(declared.sequences or ()):
            if table := self._table(keys := ("sequences", index), name):
                yield Sequences(line=self._lines[keys], table=table)

    def _table(self, keys: KeyPath, name: str) -> Relation | None:
        if parts := TABLE.fullmatch(name):
            return Relation(name=parts["name"], schema=parts["schema"] or "")
        self.problems.append((keys, f"must be table or schema.table, and it is {name!r}"))
        return None

    def _column(self, keys: KeyPath, name: str) -> Column | None:
        parts = COLUMN.fullmatch(name)
        if parts and (table := self._table(keys, parts["table"])):
            return Column(table=table, name=parts["name"])
        self.problems.append((keys, f"must be table.column, and it is {name!r}"))
        return None

    def _invariant(self, name: str, queries: _Queries) -> Check | None:
        keys = ("invariants", name)
        line = self._lines[keys]
        before = self._query(keys, queries.before)
        after = self._query(keys, queries.after)
        if queries.before is None:
            return Invariant(line=line, name=name, query=after.sql) if after else None
        after = after or before
        if before is None or after is None:
            return None
        tables = tuple(dict.fromkeys((*before.tables, *after.tables)))
        return Unchanged(line=line, name=name, before=before.sql, after=after.sql, tables=tables)

    def _query(self, keys: KeyPath, text: str | None) -> Query | None:
        """Return one query without its semicolon, and the relations that it names."""
        if text is None:
            return None
        try:
            return one_select(text)
        except NoQuery as error:
            self.problems.append((keys, str(error)))
            return None
