"""What going back would cost, judged from the migrations that a plan runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["instant", "revert", "restore", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFact:
    """What a verdict has to know of one migration.

    Args:
        id: ``<version>/<phase>/<name>``.
        phase: ``expand``, ``backfill`` or ``contract``.
        reversible: Whether it declares a revert.
    """

    id: str
    phase: str
    reversible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The way back after a plan has run.

    Args:
        kind: ``instant``: the old code runs on the new schema, one rename goes back. ``revert``: the
            declared reverts run first and lose nothing. ``restore``: only the backup brings the old
            schema back, and rows written since are lost. ``refused``: there is no way back.
        because: One sentence for a person.
    """

    kind: Kind
    because: str


def judge(migrations: Iterable[MigrationFact], *, first: bool = False) -> Verdict:
    """Judge the way back after these migrations have run.

    Args:
        migrations: The pending migrations that the plan runs.
        first: Whether nothing was live before, so that there is nothing to go back to.
    """
    pending = tuple(migrations)
    if first:
        return Verdict(kind="refused", because="nothing was live before: there is no way back")
    contract = [fact for fact in pending if fact.phase == "contract"]
    if not pending:
        return Verdict(kind="instant", because="the schema does not change: one rename goes back")
    if not contract:
        return Verdict(
            kind="instant",
            because=f"{counted(len(pending), 'migration only adds', 'migrations only add')}: the old code runs on the new schema, "
            "one rename goes back",
        )
    fixed = [fact.id for fact in contract if not fact.reversible]
    if fixed:
        return Verdict(
            kind="restore",
            because=f"{', '.join(fixed)} cannot be reverted: the way back is the backup, "
            "and rows written since are lost",
        )
    return Verdict(
        kind="revert",
        because=f"{counted(len(contract), 'contract migration is', 'contract migrations are')} "
        "reverted before going back",
    )


def judge_own(identity: str, *, undo: bool, proved: bool | None, first: bool = False) -> Verdict:
    """Judge the way back after an app's own migrator has run: nobody else knows what it changes.

    Args:
        identity: ``<version>/migrator``.
        undo: Whether the release declares what takes it back.
        proved: Whether a rehearsal showed that this brings back definitions and rows; ``None`` before.
        first: Whether nothing was live before.
    """
    if first:
        return Verdict(kind="refused", because="nothing was live before: there is no way back")
    if undo and proved:
        return Verdict(
            kind="revert",
            because=f"the undo of {identity} brought back every definition and row on the clone",
        )
    unless = {
        (True, None): "; a rehearsal that proves its undo makes it revert",
        (True, False): "; its undo did not bring everything back on the clone",
    }.get((undo, proved), "")
    return Verdict(
        kind="restore",
        because=f"{identity} is the app's own command: the way back is the backup, and rows written"
        f" since are lost{unless}",
    )
