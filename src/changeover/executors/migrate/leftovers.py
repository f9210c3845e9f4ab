"""Judge by the catalog what an interrupted statement left, and take our own leftovers away."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import TYPE_CHECKING

from changeover.executors.migrate import index_probe
from changeover.executors.migrate.failures import DeadlinePassed, IndexDiffers, IndexForeign
from changeover.executors.migrate.index_probe import FoundIndex, invalid_on, quoted
from changeover.executors.migrate.session import row
from changeover.migrations.indexes import IndexBuild, build_of

if TYPE_CHECKING:
    from changeover.executors.migrate.moves import Move
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Statement

REINDEX_LEFTOVER = re.compile(r"_cc(new|old)\d*\"?$")
POLL_SECONDS = 0.1
DETACH_PENDING_SINCE = 140000
PARTITION = """
    SELECT inhdetachpending FROM pg_inherits
    WHERE inhparent = to_regclass(%s) AND inhrelid = to_regclass(%s)
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the catalog says about a statement that no transaction holds.

    Args:
        done: Its result is there.
        leftover: Invalid indexes of ours to drop before it runs.
        before: Invalid indexes of somebody else's, seen before we began.
        instead: What to run in its place, when half of it is done.
    """

    done: bool = False
    leftover: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    instead: str = ""


def look(
    turn: Turn, move: Move, statement: Statement, *, intended: bool, before: tuple[str, ...]
) -> Finding:
    """Ask the catalog what became of ``statement``.

    Args:
        turn: The runner's turn.
        move: The migration and its direction.
        statement: Which one.
        intended: Whether an earlier run may have begun it.
        before: What that run saw before it began.

    Raises:
        IndexForeign: An invalid index that we did not start bears the name.
        IndexDiffers: Another object bears the name.
    """
    kind = statement.effect.kind
    if kind == "CREATE INDEX CONCURRENTLY":
        return _index(turn, move, statement, intended=intended)
    if kind == "DROP INDEX CONCURRENTLY":
        name = quoted(statement.effect.targets[0].relation)
        found = row(turn.work, "SELECT to_regclass(%s) IS NULL", (name,))
        return Finding(done=intended and bool(found and found[0]))
    if kind.startswith("REINDEX"):
        return _reindex(turn, statement, intended=intended, before=before)
    if kind == "ALTER TABLE DETACH PARTITION CONCURRENTLY":
        return _detach(turn, statement, intended=intended)
    return Finding()


def clear(turn: Turn, statement: Statement, finding: Finding) -> None:
    """Drop our invalid leftovers, without locking readers or writers out."""
    turn.limit(lock_timeout=False)
    if statement.effect.kind == "CREATE INDEX CONCURRENTLY":
        index_probe.drop(turn.work, build_of(statement.sql))
        return
    for name in finding.leftover:
        turn.work.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())


def _index(turn: Turn, move: Move, statement: Statement, *, intended: bool) -> Finding:
    build = build_of(statement.sql)
    while True:
        found = index_probe.find(turn, build)
        if found is None:
            return Finding()
        if found.valid or found.builder is None:
            break
        _wait_for(turn, build, found)
    if not index_probe.fits(turn, build, found):
        raise IndexDiffers(
            f"{move.where(statement)}: {build.name} exists with another definition",
            host=turn.database.shown_host,
            cause=f"there: {found.definition}; in the file: {build.sql}",
            hint="drop or rename the one that is there, then run the same command again",
        )
    if found.valid:
        return Finding(done=True)
    if not intended:
        raise IndexForeign(
            f"{move.where(statement)}: {build.name} exists and is invalid, and we did not start it",
            host=turn.database.shown_host,
            cause=found.definition,
            hint=f'if nobody needs it: DROP INDEX CONCURRENTLY "{build.name}",'
            " then run the same command again",
        )
    return Finding(leftover=(build.name,))


def _wait_for(turn: Turn, build: IndexBuild, found: FoundIndex) -> None:
    if turn.deadline.passed:
        raise DeadlinePassed(
            f"pid {found.builder} is still building {build.name}",
            host=turn.database.shown_host,
            hint="let it finish, then run the same command again",
        )
    time.sleep(POLL_SECONDS)


def _reindex(
    turn: Turn, statement: Statement, *, intended: bool, before: tuple[str, ...]
) -> Finding:
    invalid = invalid_on(turn.work, statement.effect.targets[0].relation)
    if not intended:
        return Finding(before=invalid)
    ours = tuple(name for name in invalid if name not in before and REINDEX_LEFTOVER.search(name))
    return Finding(leftover=ours, before=before)


def _detach(turn: Turn, statement: Statement, *, intended: bool) -> Finding:
    parent, partition = (quoted(target.relation) for target in statement.effect.targets[:2])
    if turn.work.info.server_version < DETACH_PENDING_SINCE:
        return Finding()
    found = row(turn.work, PARTITION, (parent, partition))
    if found is None:
        return Finding(done=intended)
    if found[0]:
        return Finding(instead=f"ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE")
    return Finding()
