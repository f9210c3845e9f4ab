"""What statements do while they are rehearsed: the locks they take and hold, the tables they write anew, the time."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from typing import TYPE_CHECKING, Literal

from changeover.executors.migrate.session import row, rows
from changeover.migrations.records import LockMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from changeover.executors.migrate.ledger import Direction
    from changeover.executors.migrate.moves import Move, Place
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Statement

How = Literal["together", "alone", "batches"]
# What is the catalog's or the ledger's own is nobody's to wait for.
USERS_OWN = """class.relkind IN ('r', 'p', 'm') AND class.relpersistence <> 't'
    AND class.relnamespace NOT IN (
        SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%%' OR nspname = 'changeover'
        OR nspname = 'information_schema')"""
LOCKS = f"""
    SELECT class.oid::regclass::text, held.mode
    FROM pg_locks AS held JOIN pg_class AS class ON class.oid = held.relation
    WHERE held.pid = %s AND held.granted AND {USERS_OWN}
"""  # noqa: S608 - a constant
FILES = f"""
    SELECT class.oid::bigint, class.oid::regclass::text, class.relfilenode::bigint
    FROM pg_class AS class WHERE {USERS_OWN}
"""  # noqa: S608 - a constant
# What of a statement's locks is told where it is no part of a transaction.
LEAST_ALONE = LockMode.ROW_EXCLUSIVE
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
        locks: What it locked.
        rewritten: The tables that it wrote anew.
        held_milliseconds: From its beginning until its transaction was ready to end, data checks and
            verify queries included; of batches the longest one.
        how: Whether it ran together with others in a transaction, alone, or in batches.
        direction: Whether it applied its migration or undid it.
    """

    migration: str
    number: int
    of: int
    kind: str
    milliseconds: float
    locks: tuple[Lock, ...] = ()
    rewritten: tuple[str, ...] = ()
    held_milliseconds: float = 0.0
    how: How = "together"
    direction: Direction = "apply"


@dataclasses.dataclass(slots=True)
class _Before:
    """What was so when a statement began."""

    begun: float
    files: Mapping[int, tuple[str, int]]


@dataclasses.dataclass(slots=True)
class _Glimpsed:
    """What was seen of a statement that is no part of a transaction, while it ran."""

    how: How
    locks: dict[str, Lock] = dataclasses.field(default_factory=dict)
    held_milliseconds: float = 0.0


class Observer:
    """Watches what statements do: in their own session, or from beside where they run alone."""

    def __init__(self) -> None:
        self._glimpsed: dict[Place, _Glimpsed] = {}
        self._alone: _Glimpsed | None = None
        self._seen: dict[Place, Observed] = {}
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
        transaction, held = _transaction(work), _locks(work, work.info.backend_pid)
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
            direction=move.direction,
        )
        self._seen[(observed.migration, move.direction, observed.number)] = observed
        self._hold(transaction, now, observed)

    def ready(self) -> None:
        """Let what the open transaction locked be held until now: it is checked, and commits next."""
        now = time.perf_counter()
        for transaction, begun, observed in self._open:
            if transaction == self._transaction:
                observed.held_milliseconds = (now - begun) * 1000

    @contextlib.contextmanager
    def alone(self, move: Move, statement: Statement) -> Iterator[None]:
        """Have a statement looked at from beside while it runs outside any transaction."""
        self._alone = self._glimpse(move, statement, "alone")
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._alone.held_milliseconds = (time.perf_counter() - begun) * 1000
            self._alone = None

    def glance(self, beside: Connection, process: int) -> None:
        """Look from another session at what runs alone; at nothing where nothing does."""
        if self._alone is not None:
            _note_locks(self._alone, beside, process)

    def batch(self, work: Connection, move: Move, statement: Statement) -> None:
        """Look at what a batch has locked, before its transaction ends."""
        _note_locks(self._glimpse(move, statement, "batches"), work, work.info.backend_pid)

    def held(self, move: Move, statement: Statement, seconds: float) -> None:
        """Note for how long a batch held its locks."""
        found = self._glimpse(move, statement, "batches")
        found.held_milliseconds = max(found.held_milliseconds, seconds * 1000)

    def _glimpse(self, move: Move, statement: Statement, how: How) -> _Glimpsed:
        key = (move.migration.id, move.direction, statement.number)
        return self._glimpsed.setdefault(key, _Glimpsed(how))

    def timed(self, event: Mapping[str, object]) -> None:
        """Note the time of a statement that ran outside a transaction, or in batches, from its event."""
        if event.get("type") != "statement":
            return
        direction: Direction = "apply" if event["direction"] == "apply" else "revert"
        key = (str(event["migration"]), direction, int(str(event["number"])))
        found = self._glimpsed.get(key, _Glimpsed("alone"))
        self._seen.setdefault(
            key,
            Observed(
                migration=key[0],
                number=key[2],
                of=int(str(event["of"])),
                kind=str(event["kind"]),
                milliseconds=float(str(event["milliseconds"])),
                locks=tuple(found.locks[name] for name in sorted(found.locks)),
                held_milliseconds=found.held_milliseconds,
                how=found.how,
                direction=direction,
            ),
        )

    def _hold(self, transaction: int | None, now: float, observed: Observed) -> None:
        """Let what the same transaction locked before be held until now."""
        self._open = [entry for entry in self._open if entry[0] == transaction]
        self._open.append((transaction, self._before.begun, observed))
        for _, begun, earlier in self._open:
            earlier.held_milliseconds = (now - begun) * 1000


def _note_locks(found: _Glimpsed, session: Connection, process: int) -> None:
    for table, mode in _locks(session, process).items():
        known = found.locks.get(table)
        if mode >= LEAST_ALONE and (known is None or mode > known.mode):
            found.locks[table] = Lock(table=table, mode=mode, size_bytes=_size(session, table))


def _locks(session: Connection, process: int) -> dict[str, LockMode]:
    found: dict[str, LockMode] = {}
    for table, name in rows(session, LOCKS, (process,)):
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
