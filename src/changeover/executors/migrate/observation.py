"""What statements do while they are rehearsed: the locks they take and hold, the tables they write anew, the time."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import TYPE_CHECKING

from changeover.executors.migrate.session import row, rows
from changeover.migrations.records import LockMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Statement

# What is the catalog's or the ledger's own is nobody's to wait for.
USERS_OWN = """class.relkind IN ('r', 'p', 'm') AND class.relpersistence <> 't'
    AND class.relnamespace NOT IN (
        SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%%' OR nspname = 'changeover'
        OR nspname = 'information_schema')"""
LOCKS = f"""
    SELECT class.oid::regclass::text, held.mode
    FROM pg_locks AS held JOIN pg_class AS class ON class.oid = held.relation
    WHERE held.pid = pg_backend_pid() AND held.granted AND {USERS_OWN}
"""  # noqa: S608 - a constant
FILES = f"""
    SELECT class.oid::bigint, class.oid::regclass::text, class.relfilenode::bigint
    FROM pg_class AS class WHERE {USERS_OWN}
"""  # noqa: S608 - a constant
TRANSACTION = "SELECT txid_current_if_assigned()"
SIZE = "SELECT pg_total_relation_size(to_regclass(%s))"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock that a statement took on a table, stronger than its transaction had before.

    Args:
        table: The table, as the session names it.
        mode: The lock.
        size_bytes: The table with its indexes, afterwards.
    """

    table: str
    mode: LockMode
    size_bytes: int


@dataclasses.dataclass(slots=True, kw_only=True)
class Observed:
    """What one statement did.

    Args:
        migration: Id of its migration.
        number: Its place in the file.
        of: How many statements the file has.
        kind: The command's words.
        milliseconds: How long it ran.
        locks: What it locked; empty for statements outside transactions, which are not watched.
        rewritten: The tables that it wrote anew.
        held_milliseconds: From its beginning until the last statement of its transaction was done.
    """

    migration: str
    number: int
    of: int
    kind: str
    milliseconds: float
    locks: tuple[Lock, ...] = ()
    rewritten: tuple[str, ...] = ()
    held_milliseconds: float = 0.0


@dataclasses.dataclass(slots=True)
class _Before:
    """What was so when a statement began."""

    begun: float
    files: Mapping[int, tuple[str, int]]


class Observer:
    """Watches the statements of transactions, in the session that runs them."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], Observed] = {}
        self._open: list[tuple[int | None, float, Observed]] = []
        self._before = _Before(0.0, {})
        self._transaction: int | None = None
        self._told: dict[str, LockMode] = {}

    @property
    def seen(self) -> tuple[Observed, ...]:
        """Return what was observed, in the order in which it ran."""
        return tuple(self._seen.values())

    def before(self, work: Connection) -> None:
        """Look, just before a statement runs."""
        files = _files(work)
        self._before = _Before(time.perf_counter(), files)

    def after(self, work: Connection, move: Move, statement: Statement) -> None:
        """Look again, once it has run and before its transaction ends."""
        now = time.perf_counter()
        transaction, held = _transaction(work), _locks(work)
        if transaction != self._transaction:
            # What data checks locked before it counts as the first statement's.
            self._transaction, self._told = transaction, {}
        locks = tuple(
            Lock(table=table, mode=mode, size_bytes=_size(work, table))
            for table, mode in sorted(held.items())
            if mode > self._told.get(table, 0)
        )
        self._told = held
        observed = Observed(
            migration=move.migration.id,
            number=statement.number,
            of=len(move.statements),
            kind=statement.effect.kind,
            milliseconds=(now - self._before.begun) * 1000,
            locks=locks,
            rewritten=_rewritten(self._before.files, _files(work)),
        )
        self._seen[(observed.migration, observed.number)] = observed
        self._hold(transaction, now, observed)

    def timed(self, event: Mapping[str, object]) -> None:
        """Note the time of a statement that ran outside a transaction, or in batches, from its event."""
        if event.get("type") != "statement" or event.get("direction") != "apply":
            return
        key = (str(event["migration"]), int(str(event["number"])))
        self._seen.setdefault(
            key,
            Observed(
                migration=key[0],
                number=key[1],
                of=int(str(event["of"])),
                kind=str(event["kind"]),
                milliseconds=float(str(event["milliseconds"])),
            ),
        )

    def _hold(self, transaction: int | None, now: float, observed: Observed) -> None:
        """Let what the same transaction locked before be held until now."""
        self._open = [entry for entry in self._open if entry[0] == transaction]
        self._open.append((transaction, self._before.begun, observed))
        for _, begun, earlier in self._open:
            earlier.held_milliseconds = (now - begun) * 1000


def _locks(work: Connection) -> dict[str, LockMode]:
    found: dict[str, LockMode] = {}
    for table, name in rows(work, LOCKS):
        mode = LockMode[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Lock")).upper()]
        found[table] = max(mode, found.get(table, mode))
    return found


def _files(work: Connection) -> dict[int, tuple[str, int]]:
    return {oid: (name, file) for oid, name, file in rows(work, FILES)}


def _rewritten(
    before: Mapping[int, tuple[str, int]], after: Mapping[int, tuple[str, int]]
) -> tuple[str, ...]:
    return tuple(
        name for oid, (name, file) in after.items() if oid in before and before[oid][1] != file
    )


def _size(work: Connection, table: str) -> int:
    found = row(work, SIZE, (table,))
    return int(found[0] or 0) if found else 0


def _transaction(work: Connection) -> int | None:
    found = row(work, TRANSACTION)
    return None if found is None or found[0] is None else int(found[0])
