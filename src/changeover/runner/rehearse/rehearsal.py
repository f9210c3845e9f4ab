"""Rehearse migrations on a clone of the proved backup: what they lock and take, and whether their undoing undoes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import CheckRed, Failed
from changeover.executors import migrate
from changeover.migrations import definitions, losses
from changeover.outcome import Outcome
from changeover.release import load_releases
from changeover.runner import database
from changeover.runner.rehearse import measurements, second_opinion
from changeover.runner.rehearse.clone import cloned
from changeover.runner.rehearse.old_version import OldVersion, OldVersionBarred

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from changeover.database import Database
    from changeover.executors.backup.rehearsal import Look
    from changeover.migrations.records import Migration, MigrationFolder, Phase
    from changeover.runner.rehearse.clone import Cloned
    from changeover.runner.run import Run
    from changeover.steps import Rehearse

DEADLINE_SECONDS = 3600.0
# What a clone says to what would reach another database: the server's words, and the agent's.
BEYOND = re.compile(
    r'foreign-data wrapper "[^"]*" has no handler|a rehearsal reaches nothing beyond its clone'
)
SHOWN_LINES = 40


class RehearsalRed(CheckRed):
    """Migrations fail on a clone of the database, or what undoes them does not."""


def rehearse(run: Run, step: Rehearse) -> Outcome:
    """Try the step's migrations on a clone of the deployment's backup; the live database is not touched.

    Raises:
        RehearsalRed: They fail there, or do not come out the same backwards and forwards again.
        OldVersionBarred: The old version cannot go on beside them as it is shown to do.
    """
    if run.release is None:
        raise Failed("the run has no release", hint="changeover deploy VERSION")
    releases = load_releases(run.root, run.app.app)
    folders = database.migration_folders(releases, run.release.version)
    with cloned(run) as clone:
        enter = partial(database.app_beside, run.environment, run.app, clone.made.database)
        old = OldVersion(enter=enter, folders=folders, deployment=run.fleet.deployment)
        tried = _Rehearsal(clone, folders, run.fleet.deployment, clone.first, old)
        try:
            for phase in step.phases:
                tried.phase(phase)
            old.end()
        except OldVersionBarred:
            _disprove(run, old)
            raise
    for observed in tried.observer.seen:
        run.note(measurements.event(observed, tried.rows))
    told = (folders, tried.rows, run.fleet.deployment)
    forwards = measurements.taken(tried.observer.seen, *told)
    back = measurements.taken(tried.undoing.seen, *told)
    with database.owner_database(run.environment, run.app) as place:
        taken = [*forwards, *back]
        migrate.remember(place, tried.proofs, taken, old.found(), fence=database.fence(run))
    second_opinion.tell(run, folders, forwards)
    return tried.outcome()


def _disprove(run: Run, old: OldVersion) -> None:
    """Have what an earlier rehearsal proved of the same content count no more."""
    with database.owner_database(run.environment, run.app) as place:
        known = migrate.recall(place)
        stale = [
            each for each in old.found(works=False) if known.beside(each.migration, each.digest)
        ]
        if stale:
            migrate.remember(place, [], [], stale, fence=database.fence(run))


@dataclass(slots=True)
class _Rehearsal:
    """One rehearsal under way.

    Args:
        clone: What it is tried on.
        folders: The migrations of every release on the way, oldest first.
        deployment: Whose rehearsal it is.
        seen: What the clone was seen to hold; ``None`` once something ran since.
        old: The old version beside them.
        observer: Watches what they do the first time.
        undoing: Watches what undoes them.
        undone: The phases that were tried backwards and forwards again.
        proofs: What undoing each of their migrations came to.
        notes: What is to be told beside.
    """

    clone: Cloned
    folders: Sequence[MigrationFolder]
    deployment: str
    seen: Look | None
    old: OldVersion
    observer: migrate.Observer = field(default_factory=migrate.Observer)
    undoing: migrate.Observer = field(default_factory=migrate.Observer)
    undone: list[str] = field(default_factory=list)
    proofs: list[migrate.Undo] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def place(self) -> Database:
        """Return how the owner enters the clone."""
        return self.clone.place

    @property
    def rows(self) -> Mapping[str, int]:
        """Return how many rows each table had before."""
        return self.clone.first.rows

    def phase(self, phase: Phase) -> None:
        """Try one phase: forwards, and where it can be undone backwards and forwards again."""
        pending = {each: migrate.pending(self.place, each, (phase,)) for each in self.folders}
        due = [each for each in self.folders if pending[each]]
        if not due:
            return
        migrations = [each for folder in due for each in pending[folder]]
        fixed = self._fixed(due, migrations)
        if fixed:
            self._forwards(due, phase, migrations)
            self.notes.append(f"{phase} was not tried backwards: {fixed}")
            return
        before = self._look()
        self._first(due, phase, migrations)
        forward = self._look()
        self._count(phase, before, forward)
        self._undo(due, [each.id for each in migrations])
        back = self._look()
        self._same(before.schema, back.schema, f"undoing {phase} does not bring the schema back")
        self._run(partial(migrate.apply, self.place, *due, phases=(phase,)), None)
        self._same(
            forward.schema, self._look().schema, f"{phase} makes another schema the second time"
        )
        self.undone.append(phase)
        self._judge(phase, migrations, before, back)

    def _forwards(
        self, due: Sequence[MigrationFolder], phase: Phase, migrations: Sequence[Migration]
    ) -> None:
        """Apply what is not tried backwards; what may take rows away is looked at for that alone."""
        took = {
            name: what for each in due for name, what in losses.forward(each.migrations).items()
        }
        takes = any(took.get(each.id) for folder in due for each in folder.of((phase,)))
        before = self._look() if takes else None
        self._first(due, phase, migrations)
        if before is not None:
            self._count(phase, before, self._look())

    def _count(self, phase: Phase, before: Look, after: Look) -> None:
        """Tell the rows that a phase takes away."""
        fewer = {name: rows - after.rows.get(name, 0) for name, rows in before.rows.items()}
        self.notes += [
            f"{phase} leaves {counted(count, 'row')} fewer in {name}"
            for name, count in fewer.items()
            if count > 0
        ]

    def _judge(
        self, phase: Phase, migrations: Sequence[Migration], before: Look, back: Look
    ) -> None:
        """Note whether the rows came back as well, and with them all that there was."""
        changed = sorted(
            name
            for name, value in before.fingerprints.items()
            if back.fingerprints.get(name) != value
        )
        lost = [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("leaves other rows in", changed),
                ("sets back", back.behind(before)),
            )
            if names
        ]
        moved = definitions.reordered(before.schema, back.schema)
        order = f"leaves columns in another order in {', '.join(moved)}" if moved else ""
        self.notes += [f"undoing {phase} {each}" for each in (*lost, *([order] if moved else []))]
        self.proofs += [
            migrate.Undo(
                subject=each.id,
                digest=each.undo_digest,
                lossless=not lost,
                because=f"it {' and '.join(lost) or order}" if lost or moved else "",
                deployment=self.deployment,
            )
            for each in migrations
        ]

    def _fixed(self, due: Sequence[MigrationFolder], migrations: Sequence[Migration]) -> str:
        """Say what keeps these from being undone; empty where nothing does."""
        for migration in migrations:
            if not migration.revert:
                return f"{migration.id} has no revert"
        names = {each.id for each in migrations}
        for folder in due:
            for found in migrate.status(self.place, folder):
                if found.id in names and found.state in {"partial", "reverting"}:
                    return f"{found.id} was begun before"
        return ""

    def _first(
        self, due: Sequence[MigrationFolder], phase: Phase, migrations: Sequence[Migration]
    ) -> None:
        """Apply them for the first time, the old version beside them."""
        move = partial(migrate.apply, self.place, *due, phases=(phase,))
        self.old.beside(
            migrations, lambda names: self._run(partial(move, only=names), self.observer)
        )

    def _undo(self, due: Sequence[MigrationFolder], names: Sequence[str]) -> None:
        self._run(partial(migrate.revert, self.place, *due, only=names), self.undoing)

    def _run(self, move: Callable[..., object], observer: migrate.Observer | None) -> None:
        self.seen = None
        try:
            move(
                deadline_seconds=DEADLINE_SECONDS,
                observer=observer,
                report=observer.timed if observer else lambda _: None,
            )
        except Failed as error:
            raise RehearsalRed(
                f"in the rehearsal: {error.message}",
                hint=f"{_hint(error)}: the live database was not touched",
                host=error.host,
                cause=error.cause,
            ) from error

    def _look(self) -> Look:
        self.seen = self.seen or self.clone.look()
        return self.seen

    def _same(self, wanted: str, found: str, message: str) -> None:
        difference = definitions.difference(wanted, found, SHOWN_LINES)
        if difference:
            raise RehearsalRed(
                f"in the rehearsal: {message}",
                hint="correct the revert files, then run the same command again:"
                " the live database was not touched",
                host=self.place.shown_host,
                cause=difference,
            )

    def outcome(self) -> Outcome:
        """Say what the rehearsal came to."""
        seen = self.observer.seen
        milliseconds = sum(each.milliseconds for each in seen)
        held = [each for each in seen if measurements.shutting_out(each, self.rows)]
        longest = max(held, key=lambda each: each.held_milliseconds, default=None)
        names = {each.migration for each in seen}
        says = [
            f"{counted(len(names), 'migration')} in {milliseconds / 1000:.1f} s on a clone",
            f"users would wait {longest.held_milliseconds:.0f} ms at most, for {longest.migration}"
            if longest
            else "nobody would wait",
            *(f"{phase} also backwards and forwards again" for phase in self.undone),
            *self.notes,
            *self.old.notes(),
        ]
        return Outcome(
            says="; ".join(says),
            changed=False,
            figures={
                "statements": len(seen),
                "milliseconds": round(milliseconds, 1),
                "longest_lock_milliseconds": round(longest.held_milliseconds, 1) if longest else 0,
            },
        )


def _hint(error: Failed) -> str:
    """Say what to do about a migration that fails on the clone."""
    if BEYOND.search(f"{error.message} {error.cause}"):
        return (
            "a rehearsal reaches nothing beyond its clone, so this cannot be rehearsed: take it out of the"
            " release and run it by hand (docs/migrations.md#what-a-rehearsal-cannot-reach)"
        )
    return "correct the migration, then run the same command again"
