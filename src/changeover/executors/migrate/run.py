"""Apply a release's migrations, or undo them: lock, compare, then one after the other."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Unpack

from changeover.executors.migrate import ledger
from changeover.executors.migrate.backfill.foresight import check_keys
from changeover.executors.migrate.backfill.walk import run_batches
from changeover.executors.migrate.moves import Move, segments
from changeover.executors.migrate.patience import tell_unrehearsed
from changeover.executors.migrate.reconcile import (
    check_ledger,
    check_statements,
    to_apply,
    to_revert,
)
from changeover.executors.migrate.segment import finish, may_set, run_segment
from changeover.executors.migrate.session import guard
from changeover.executors.migrate.standalone import run_standalone
from changeover.executors.migrate.turn import take_turn
from changeover.migrations.records import PHASES, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from changeover.database import Database
    from changeover.executors.migrate.ledger import Direction, MigrationRow, StatementRow
    from changeover.executors.migrate.limits import Limits
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Migration, MigrationFolder, Statement

    Before = Callable[[str, Direction], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MigrateOutcome:
    """What a run did.

    Args:
        done: Ids of the migrations applied (or undone), in that order.
        unchanged: Ids of those that were so already.
        retries: How often a lock was not to be had at once.
        seconds: How long it took.
    """

    done: tuple[str, ...]
    unchanged: tuple[str, ...]
    retries: int
    seconds: float


def _unheard(_migration: str, _direction: Direction) -> None:
    return


def apply(
    database: Database,
    *folders: MigrationFolder,
    phases: tuple[Phase, ...] = PHASES,
    only: Collection[str] | None = None,
    before: Before = _unheard,
    **limits: Unpack[Limits],
) -> MigrateOutcome:
    """Apply what is not applied of these phases; a run that was cut short is continued.

    Args:
        database: Where, as the owner role.
        folders: The migrations of releases, the oldest release first.
        phases: Which of them.
        only: Their ids, where not all of these phases are meant.
        before: Hears of each migration right before it begins; of one that is gone on with, nothing.
        limits: What bounds the run, all of it together.

    Raises:
        ChangeoverError: One of the leaves in `failures`; what was committed before it stays.
    """

    def forward(turn: Turn, known: Mapping[str, MigrationRow]) -> list[Migration]:
        due = [each for folder in folders for each in to_apply(folder, phases, known)]
        pending = [each for each in due if only is None or each.id in only]
        check_keys(turn.work, pending)
        tell_unrehearsed(turn, pending, "apply")
        for migration in pending:
            _apply(turn, migration, known, before)
        return pending

    return _walk(database, folders, phases, forward, limits)


def _apply(
    turn: Turn, migration: Migration, known: Mapping[str, MigrationRow], before: Before
) -> None:
    state = known[migration.id].state if migration.id in known else ""
    if state == "reverting":
        _move(turn, Move(migration=migration, direction="revert"), begun=True)
    if state in {"reverting", "reverted"}:
        ledger.renew(turn.work, migration.id, turn.mandate)
    elif state:
        recorded = ledger.statements(turn.work, migration.id, "apply")
        check_statements(turn.database, migration, known[migration.id], recorded)
    if state != "running":
        before(migration.id, "apply")
    _move(turn, Move(migration=migration, direction="apply"), begun=bool(state))


def revert(
    database: Database,
    *folders: MigrationFolder,
    phases: tuple[Phase, ...] = PHASES,
    only: Collection[str] | None = None,
    before: Before = _unheard,
    **limits: Unpack[Limits],
) -> MigrateOutcome:
    """Undo what stands of these phases, newest first, by the revert files.

    Takes and raises what `apply` does; before anything is changed also RevertMissing and NewerApplied.
    With ``only`` the migrations of these ids are undone and no other.
    """

    def back(turn: Turn, known: Mapping[str, MigrationRow]) -> list[Migration]:
        standing = to_revert(folders, phases, known, only)
        tell_unrehearsed(turn, standing, "revert")
        for migration in standing:
            if known[migration.id].state != "reverting":
                before(migration.id, "revert")
            _move(turn, Move(migration=migration, direction="revert"), begun=True)
        return standing

    return _walk(database, folders, phases, back, limits)


def _walk(
    database: Database,
    folders: Sequence[MigrationFolder],
    phases: tuple[Phase, ...],
    walk: Callable[[Turn, Mapping[str, MigrationRow]], list[Migration]],
    limits: Limits,
) -> MigrateOutcome:
    """Take the turn, hold the files against the ledger, and walk."""
    begun = time.monotonic()
    with take_turn(database, **limits) as turn:
        known = {row.id: row for row in ledger.migrations(turn.work)}
        for folder in folders:
            check_ledger(database, folder, known)
        names = tuple(migration.id for migration in walk(turn, known))
        asked = [migration.id for folder in folders for migration in folder.of(phases)]
        return MigrateOutcome(
            done=names,
            unchanged=tuple(each for each in asked if each not in names),
            retries=turn.retries,
            seconds=time.monotonic() - begun,
        )


def _move(turn: Turn, move: Move, *, begun: bool) -> None:
    """Bring one migration to its end, from wherever the ledger says it is.

    Args:
        turn: The runner's turn.
        move: The migration and its direction.
        begun: Whether the ledger had it when the turn was taken; without a row it has no statements.
    """
    since = time.monotonic()
    recorded = ledger.statements(turn.work, move.migration.id, move.direction) if begun else {}
    parts = segments(move.statements)
    ended = False
    for segment in parts:
        left = tuple(item for item in segment if not _is_done(recorded, item))
        if not left:
            continue
        if move.forward and move.migration.batch:
            run_batches(turn, move, move.migration.batch, recorded.get(1))
        elif not left[0].effect.transactional:
            run_standalone(turn, move, left[0], recorded.get(left[0].number))
        else:
            ended = segment is parts[-1]
            run_segment(turn, move, left, last=ended)
    if not ended:
        finish(turn, move)
    if any(may_set(statement) for statement in move.statements):
        guard(turn.work)
    turn.ended.append(move.migration.id)
    milliseconds = (time.monotonic() - since) * 1000
    turn.report(
        {
            "type": f"migration-{move.final_state}",
            "migration": move.migration.id,
            "milliseconds": round(milliseconds, 1),
            "says": f"{move.migration.id} {move.final_state} in {milliseconds:.0f} ms",
        }
    )


def _is_done(recorded: dict[int, StatementRow], statement: Statement) -> bool:
    found = recorded.get(statement.number)
    return found is not None and found.state == "done"
