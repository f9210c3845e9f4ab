"""What squawk says of pending migrations, weighed by what was measured: what hurts here stands first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from changeover.counts import counted
from changeover.errors import ChangeoverError
from changeover.executors import squawk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from changeover.executors.migrate import Measured, StatementPreview
    from changeover.executors.squawk import Advice
    from changeover.migrations.records import Migration, MigrationFolder, Statement
    from changeover.runner.run import Run

    Place = tuple[str, int]

# As long as a statement of ours may queue for a lock: for less nobody waits longer than for any other.
LONG_MILLISECONDS = 100.0
MANY_ROWS = 100_000
MANY_BYTES = 100_000_000
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """One thing that squawk says, and what it comes to here.

    Args:
        weight: ``warning`` where the table is large or its lock was held for long, else ``note``.
        where: The migration and the line.
        kind: The statement.
        rule: Squawk's name for it.
        message: What it says.
        because: What was measured, or what the statement meets; ``None`` where no table of it is there.
    """

    weight: Literal["warning", "note"]
    where: str
    kind: str
    rule: str
    message: str
    because: str | None

    @property
    def text(self) -> str:
        """Return it as one line."""
        return (
            f"{self.weight}: {self.where} {self.kind}: {self.because}; squawk: {self.message}"
            f" [{self.rule}]"
        )


def opinion(
    migrations: Sequence[Migration],
    measured: Mapping[Place, Measured],
    previews: Iterable[StatementPreview] = (),
) -> tuple[str, ...]:
    """Return a line for each thing that squawk says of these migrations, the weightiest first.

    Args:
        migrations: The pending migrations.
        measured: What their statements took in a rehearsal, by migration and number.
        previews: What those that were not measured meet.
    """
    try:
        said = squawk.advice(migration.path for migration in migrations)
    except ChangeoverError as error:
        return (f"note: {error.message}: {error.cause}",)
    known = {(each.migration, each.number): each for each in previews}
    found = [
        _weighed(migration, statement, each, measured.get(place), known.get(place))
        for migration in migrations
        for each in said
        if each.path == migration.path and not _meant(migration, each)
        for statement in [_statement(migration, each.line)]
        for place in [(migration.id, statement.number)]
    ]
    met = sorted(
        (each for each in found if each.because is not None), key=lambda each: each.weight == "note"
    )
    alone = len(found) - len(met)
    left = (
        (f"note: squawk has {counted(alone, 'remark')} on what meets no table that is there",)
        if alone
        else ()
    )
    return (*(each.text for each in met), *left)


def tell(run: Run, folders: Sequence[MigrationFolder], found: Sequence[Measured]) -> None:
    """Tell what squawk says of what was rehearsed, where the measurements bear it out."""
    measured = {(each.migration, each.number): each for each in found}
    names = {each.migration for each in found}
    tried = [each for folder in folders for each in folder.migrations if each.id in names]
    said = opinion(tried, measured)
    heavy = [line for line in said if line.startswith("warning")]
    for line in heavy:
        run.note({"type": "advice", "says": line})
    if len(said) > len(heavy):
        light = counted(len(said) - len(heavy), "note")
        run.note(
            {"type": "advice", "says": f"second opinion: {light} of no weight here; plan shows all"}
        )


def _meant(migration: Migration, each: Advice) -> bool:
    """Tell whether it is what the phase is for: contract takes away."""
    return migration.phase == "contract" and each.rule.startswith("ban-drop")


def _statement(migration: Migration, line: int) -> Statement:
    before = [each for each in migration.statements if each.line <= line]
    return before[-1] if before else migration.statements[0]


def _weighed(
    migration: Migration,
    statement: Statement,
    said: Advice,
    measured: Measured | None,
    preview: StatementPreview | None,
) -> Weighed:
    heavy, because = _met(preview) if measured is None else _took(measured)
    about_types = said.rule.startswith("prefer-")  # those hold up nobody
    return Weighed(
        weight="warning" if heavy and not about_types else "note",
        where=f"{migration.id}:{said.line}",
        kind=statement.effect.kind,
        rule=said.rule,
        message=said.message,
        because=because,
    )


def _took(found: Measured) -> tuple[bool, str]:
    """Judge by what was measured."""
    if not found.locks:
        return False, f"measured {found.milliseconds:.0f} ms, and nobody waited"
    worst = max(found.locks, key=lambda lock: lock.rows)
    heavy = found.held_milliseconds >= LONG_MILLISECONDS or worst.rows >= MANY_ROWS
    return heavy, (
        f"{worst.mode} on {worst.table} ({counted(worst.rows, 'row')})"
        f" for {found.held_milliseconds:.0f} ms"
    )


def _met(found: StatementPreview | None) -> tuple[bool, str | None]:
    """Judge by what it meets, where nothing was measured."""
    there = [target for target in found.targets if target.exists] if found else []
    if not there:
        return False, None
    worst = max(there, key=lambda target: (target.rows or 0, target.size_bytes))
    rows = "rows not counted" if worst.rows is None else f"about {counted(worst.rows, 'row')}"
    heavy = (worst.rows or 0) >= MANY_ROWS or worst.size_bytes >= MANY_BYTES
    return heavy, (
        f"{worst.lock} on {worst.table} ({rows}, {worst.size_bytes / MEGABYTE:.1f} MB), not measured"
    )
