"""What a release's migrations are made of, as frozen values."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.migrations.checks import Checks

Phase = Literal["expand", "backfill", "contract"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class LockMode(enum.IntEnum):
    """The table-level lock modes, weakest first (PostgreSQL's documentation, 13.3.1)."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def label(self) -> str:
        """Return the mode as SQL spells it, such as ``ACCESS EXCLUSIVE``."""
        return self.name.replace("_", " ")

    @property
    def blocks_reads(self) -> bool:
        """Tell whether a plain SELECT waits for it."""
        return self is LockMode.ACCESS_EXCLUSIVE

    @property
    def blocks_writes(self) -> bool:
        """Tell whether INSERT, UPDATE and DELETE wait for it."""
        return self >= LockMode.SHARE

    @property
    def who_waits(self) -> str:
        """Say in words who waits while it is held."""
        if self.blocks_reads:
            return "readers and writers wait"
        if self.blocks_writes:
            return "writers wait"
        return "nobody who reads or writes waits"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table, view, sequence or index as a statement names it; no schema means the search path."""

    name: str
    schema: str = ""

    @property
    def dotted(self) -> str:
        """Return the name as it is shown: with its schema when one was written."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A relation that a statement locks, and how.

    Args:
        relation: What is named. When ``index`` is true it is an index, whose table is locked, too.
        mode: The strongest table-level lock the statement takes on it.
        index: Whether the relation is an index.
    """

    relation: Relation
    mode: LockMode
    index: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What running a statement means, as far as its text tells.

    Args:
        kind: The command's words, such as ``CREATE INDEX CONCURRENTLY``.
        targets: Relations it locks, in the order of the text.
        transactional: False when PostgreSQL refuses it inside a transaction block.
        commits_alone: True when what it makes cannot be used before its transaction is committed.
        rewrites: Whether it writes the table anew; None when that depends on the live column types.
        scans: Whether it reads every row under its lock.
        opaque: True when its text does not tell which tables it meets (``DO``, ``CALL``).
        creates: Relations it brings into being.
    """

    kind: str
    targets: tuple[Target, ...] = ()
    transactional: bool = True
    commits_alone: bool = False
    rewrites: bool | None = False
    scans: bool = False
    opaque: bool = False
    creates: tuple[Relation, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One SQL statement of a file.

    Args:
        number: Its place in the file, from 1.
        line: The line it begins on, from 1.
        sql: Its text without the semicolon.
        effect: What running it means.
    """

    number: int
    line: int
    sql: str
    effect: Effect

    @property
    def digest(self) -> str:
        """Return the sha256 of its text, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How a backfill file walks its table, from its leading ``-- changeover: batch`` comment.

    Args:
        table: The table whose keys are walked.
        key: A unique, never null column with an index; batches follow its order.
        size: Keys of the first batch; the others follow what it took.
        target_seconds: How long a batch aims to hold its locks. As long as a statement of ours may
            queue for one: no longer do others have to wait for us elsewhere either.
        lag_seconds: How far a replica may be behind before the walk pauses. A quiet one reports
            every 10 s (``wal_receiver_status_interval``), so less cannot be told from none.
        dead_rows: How many dead rows the table may have while an autovacuum worker is at it before
            the walk pauses; None takes a share of the table's rows.
    """

    table: Relation
    key: str
    size: int
    target_seconds: float = 0.1
    lag_seconds: float = 10.0
    dead_rows: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One migration file with its verify, checks, revert and coexist files.

    Args:
        release: The version it belongs to.
        phase: When it runs.
        number: Its place in the phase, from 1.
        name: The words of its file name.
        path: Its file.
        checksum: sha256 of the file's bytes, followed by those of its checks file, hexadecimal.
        statements: Its statements, in order; never empty.
        verify: Queries whose every row must begin with true; empty when there is no such file.
        revert: Statements that undo it; empty when there is no such file.
        batch: How it is cut into batches, when it declares that.
        checks: What must hold of the data; None when there is no such file.
        sql_checksum: sha256 of the file's bytes alone; empty when that is ``checksum``.
        coexist: What the old version runs, to be tried before and after it; empty when there is no such
            file.
    """

    release: str
    phase: Phase
    number: int
    name: str
    path: Path
    checksum: str
    statements: tuple[Statement, ...]
    verify: tuple[Statement, ...] = ()
    revert: tuple[Statement, ...] = ()
    batch: Batch | None = None
    checks: Checks | None = None
    sql_checksum: str = ""
    coexist: tuple[Statement, ...] = ()

    @property
    def id(self) -> str:
        """Return the identity that the ledger keeps: ``<release>/<phase>/NNN_name``."""
        return f"{self.release}/{self.phase}/{self.number:03d}_{self.name}"

    @property
    def transactional(self) -> bool:
        """Tell whether one transaction holds the whole of it."""
        return self.batch is None and self.alone is None

    @property
    def alone(self) -> Statement | None:
        """Return the first statement that cannot share a transaction with all others."""
        for statement in self.statements:
            if not statement.effect.transactional or statement.effect.commits_alone:
                return statement
        return None

    @property
    def undo_digest(self) -> str:
        """Return the sha256 of what it does and of what undoes it, hexadecimal."""
        parts = (self.checksum, *(statement.digest for statement in self.revert))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def ran_as(self, recorded: str) -> bool:
        """Tell whether ``recorded`` is the digest of this content.

        A migration that was applied before its checks were written has the digest of the SQL alone.
        """
        return recorded in {self.checksum, self.sql_checksum or self.checksum}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFolder:
    """All migrations of one release, in the order they run.

    Args:
        release: The version.
        path: The folder they were read from.
        migrations: Ordered by phase, then by number.
    """

    release: str
    path: Path
    migrations: tuple[Migration, ...]

    def of(self, phases: tuple[Phase, ...]) -> tuple[Migration, ...]:
        """Return the migrations of these phases, in the order they run."""
        return tuple(migration for migration in self.migrations if migration.phase in phases)
