"""A database beside the live one held against it: rows table by table, and definitions.

Each table is read as of a moment of its own, so that a migration waits for no more than one of them.
A database that was live and failed stands still.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from changeover.agent.backup import leftovers, side_database
from changeover.agent.failure import ActionError
from changeover.agent.postgres import (
    content,
    definition_secrets,
    missing_columns,
    properties,
    relations,
    rows,
)
from changeover.agent.postgres.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.agent.backup.store import Record, Store

MOST_LINES = 400
NAMED_LINES = 2  # of a unified difference: which side is which


def diff(store: Store, backups: Sequence[str], database: str = "", *, examples: int = 0) -> Record:
    """Compare a database beside the live one with it, row by row and definition by definition.

    Args:
        store: The app's backups.
        backups: The ids of those that are there.
        database: Which one; the one that a restore kept last by default.
        examples: How many keys of each kind to give by table; keys are data.

    Returns:
        ``kept`` and its ``kind``, ``live``; ``tables`` that differ by name, each with
        ``rows_kept`` and ``rows_live`` (``None`` where there is no such table), ``only_kept``,
        ``only_live``, ``changed`` and ``key`` (``None`` where rows are told apart by content),
        ``uncompared``, the columns that one of both lacks, ``filled``, in how many rows those hold
        values, and ``examples``; ``equal``, how many tables do not differ; ``sequences`` that stand
        elsewhere by name, each with its last value ``kept`` and ``live`` (``None`` where it gave
        none, or is not there); ``schema``, the lines of the difference, and ``schema_lines``, how
        many there are.

    Raises:
        ActionError: ``side-unknown`` with the ``names`` there are.
    """
    chosen = _chosen(store, leftovers.found(store, backups), database)
    kept = str(chosen["name"])
    lines = _schema(store, kept)
    with Session(store.server, kept) as old, Session(store.server, store.database) as new:
        tables = _tables(store, old, new, examples)
        positions = _positions(old, new)
    differing = {name: table for name, table in tables.items() if table is not None}
    return {
        "kept": kept,
        "kind": chosen["kind"],
        "live": store.database,
        "tables": differing,
        "equal": len(tables) - len(differing),
        "sequences": positions,
        "schema": lines[:MOST_LINES],
        "schema_lines": len(lines),
    }


def _chosen(store: Store, beside: Sequence[Record], database: str) -> Record:
    names = [str(one["name"]) for one in beside]
    fitting = [
        one for one in beside if (one["name"] == database if database else one["kind"] == "failed")
    ]
    if fitting:
        return fitting[-1]
    known = f"there are: {', '.join(names)}" if names else "there is none"
    wanted = f"no database {database} is" if database else "no restore has kept a database"
    message = f"{wanted} beside {store.database}; {known}"
    raise ActionError("side-unknown", message, names=names)


def _tables(store: Store, old: Session, new: Session, examples: int) -> dict[str, Record | None]:
    sides = (old, new)
    columns = [relations.columns(side) for side in sides]
    keys = [rows.keys(side) for side in sides]
    there = [set(relations.tables(side)) for side in sides]
    found: dict[str, Record | None] = {}
    for name in sorted(there[0] | there[1]):
        store.server.say(f"comparing the rows of {name}")
        first, second = (known.get(name, []) for known in columns)
        both = [column for column in second if column in first]
        if not both and (first or second or not all(name in one for one in there)):
            found[name] = _apart(*(_rows(*pair, name) for pair in zip(sides, there, strict=True)))
            continue
        key = keys[1].get(name)
        with _one_moment(new):
            table = _table(
                old, new, name, both, key if key == keys[0].get(name) else None, examples
            )
            filled = missing_columns.filled(old, name, [each for each in first if each not in both])
            filled |= missing_columns.filled(
                new, name, [each for each in second if each not in both]
            )
        if table is None and filled:
            count = _rows(new, there[1], name) or 0
            table = _told(count, count, key, rows.Tally(0))
        uncompared = {"uncompared": sorted(set(first) ^ set(second)), "filled": filled}
        found[name] = table and table | uncompared
    with _one_moment(new):
        found[content.LARGE] = _large(old, new, examples)
    return found


def _positions(old: Session, new: Session) -> Record:
    kept, live = (content.positions(side) for side in (old, new))
    return {
        name: {"kept": kept.get(name), "live": live.get(name)}
        for name in sorted(kept.keys() | live.keys())
        if kept.get(name) != live.get(name)
    }


@contextlib.contextmanager
def _one_moment(live: Session) -> Iterator[None]:
    """Read what changes as of one moment; what is thrown from here ends the session."""
    live.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    yield
    live.run("COMMIT")


def _rows(side: Session, there: set[str], name: str) -> int | None:
    return int(content.fingerprint(side, name)["rows"]) if name in there else None


def _table(
    old: Session,
    new: Session,
    name: str,
    columns: list[str],
    key: rows.Key | None,
    examples: int,
) -> Record | None:
    """Compare a table that both have: by fingerprint first, which sorts nothing."""
    kept = content.fingerprint(old, name, columns)
    live = content.fingerprint(new, name, columns)
    if kept == live:
        return None
    query = (
        rows.by_key(name, key, columns, shown=examples > 0)
        if key
        else rows.by_content(name, columns)
    )
    tally = rows.tallied(old, new, query, examples)
    return _told(kept["rows"], live["rows"], key, tally)


def _large(old: Session, new: Session, examples: int) -> Record | None:
    kept, live = (session.row(content.LARGE_OBJECTS) for session in (old, new))
    if kept == live:
        return None
    query = rows.large_objects(shown=examples > 0)
    tally = rows.tallied(old, new, query, examples)
    return _told(kept["rows"], live["rows"], None, tally) | {"key": ["oid"], "uncompared": []}


def _told(kept: int, live: int, key: rows.Key | None, tally: rows.Tally) -> Record:
    return {
        "rows_kept": kept,
        "rows_live": live,
        "key": key and key.columns,
        "only_kept": tally.only_kept,
        "only_live": tally.only_live,
        "changed": tally.changed,
        "examples": tally.examples,
    }


def _apart(kept: int | None, live: int | None) -> Record:
    """Return the difference of two tables that have no column in common, or of one and none."""
    tally = rows.Tally(0, only_kept=kept or 0, only_live=live or 0)
    return _told(0, 0, None, tally) | {"rows_kept": kept, "rows_live": live, "uncompared": []}


def scratch(store: Store) -> str:
    """Return the name of the database that definitions are loaded into to be compared."""
    return store.side("definition", "diff")


def _schema(store: Store, kept: str) -> list[str]:
    """Return the lines by which the definitions differ: ``-`` is the kept one's, ``+`` the live one's.

    A database that was restored reads differently from one that never was, so where the texts
    differ both are loaded once into a database of nobody's, and read back.
    """
    import difflib  # noqa: PLC0415 - only this action needs it

    with Session(store.server, side_database.MAINTENANCE) as session:
        program = store.server.program("pg_dump", session.major)
        texts = [
            content.schema(store.server, program, name, major=session.major)
            for name in (kept, store.database)
        ]
        if texts[0] == texts[1]:
            return []
        settings = properties.read(session, kept) or {}
        with store.lock():
            place = scratch(store)
            texts = [side_database.settled(store, session, text, place, settings) for text in texts]
    one, other = (definition_secrets.shown(store.root, text).splitlines() for text in texts)
    return list(difflib.unified_diff(one, other, n=1, lineterm=""))[NAMED_LINES:]
