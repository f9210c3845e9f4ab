"""Rehearse migrations on a clone of the proved backup: what they lock and take, and whether their undoing undoes."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import ChangeoverError, CheckRed, Failed
from changeover.executors import backup as backups
from changeover.executors import migrate
from changeover.executors.backup import rehearsal as clones
from changeover.release import load_releases
from changeover.runner import database
from changeover.steps import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from changeover.database import Database
    from changeover.executors.backup import Vault
    from changeover.executors.backup.rehearsal import Clone, Look
    from changeover.executors.migrate import Observed
    from changeover.executors.migrate.observation import Lock
    from changeover.migrations.records import MigrationFolder, Phase
    from changeover.runner.run import Event, Run
    from changeover.steps import Rehearse

DEADLINE_SECONDS = 3600.0
MEGABYTE = 1_000_000
SHOWN_LINES = 40


class RehearsalRed(CheckRed):
    """Migrations fail on a clone of the database, or what undoes them does not."""


def rehearse(run: Run, step: Rehearse) -> Outcome:
    """Try the step's migrations on a clone of the deployment's backup; the live database is not touched.

    Raises:
        RehearsalRed: They fail there, or do not come out the same backwards and forwards again.
    """
    if run.release is None:
        raise Failed("the run has no release", hint="changeover deploy VERSION")
    releases = load_releases(run.root, run.app.app)
    folders = database.migration_folders(releases, run.release.version)
    vault = backups.vault_of(run.fleet)
    made, first = clones.clone(vault, run.fleet.deployment)
    try:
        with database.owner_database(run.environment, run.app) as place:
            inside = dataclasses.replace(place, name=made.database)
            tried = _Rehearsal(vault, made, inside, folders, first.rows, first)
            for phase in step.phases:
                tried.phase(phase)
    except BaseException:
        drop(run, vault, made)
        raise
    clones.drop(vault, made)
    for observed in tried.observer.seen:
        run.rehearsed[(observed.migration, observed.number)] = observed.milliseconds
        run.note(_event(observed, tried.rows))
    return tried.outcome()


@dataclass(slots=True)
class _Rehearsal:
    """One rehearsal under way.

    Args:
        vault: The backups.
        made: The clone.
        place: How the owner enters it.
        folders: The migrations of every release on the way, oldest first.
        rows: How many rows each table had before.
        seen: What the clone was seen to hold; ``None`` once something ran since.
        observer: Watches what they do the first time.
        undone: The phases that were tried backwards and forwards again.
        notes: What is to be told beside.
    """

    vault: Vault
    made: Clone
    place: Database
    folders: Sequence[MigrationFolder]
    rows: Mapping[str, int]
    seen: Look | None
    observer: migrate.Observer = field(default_factory=migrate.Observer)
    undone: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def phase(self, phase: Phase) -> None:
        """Try one phase: forwards, and where it can be undone backwards and forwards again."""
        due = [each for each in self.folders if migrate.pending(self.place, each, (phase,))]
        if not due:
            return
        fixed = self._fixed(due, phase)
        if fixed:
            self._apply(due, phase, self.observer)
            self.notes.append(f"{phase} was not tried backwards: {fixed}")
            return
        before = self._look()
        self._apply(due, phase, self.observer)
        forward = self._look()
        for folder in reversed(due):
            self._run(partial(migrate.revert, self.place, folder, phases=(phase,)))
        back = self._look()
        self._same(before.schema, back.schema, f"undoing {phase} does not bring the schema back")
        self._apply(due, phase, None)
        again = self._look()
        self._same(forward.schema, again.schema, f"{phase} makes another schema the second time")
        self.undone.append(phase)
        changed = sorted(
            name
            for name, value in before.fingerprints.items()
            if back.fingerprints.get(name) != value
        )
        if changed:
            self.notes.append(f"undoing {phase} leaves other rows in {', '.join(changed)}")

    def _fixed(self, due: Sequence[MigrationFolder], phase: Phase) -> str:
        """Say what keeps a phase from being undone; empty where nothing does."""
        for folder in due:
            pending = {each.id for each in migrate.pending(self.place, folder, (phase,))}
            for migration in folder.of((phase,)):
                if not migration.revert:
                    return f"{migration.id} has no revert"
                if migration.id not in pending:
                    return f"{migration.id} stands already"
        return ""

    def _apply(
        self, due: Sequence[MigrationFolder], phase: Phase, observer: migrate.Observer | None
    ) -> None:
        for folder in due:
            self._run(
                partial(
                    migrate.apply,
                    self.place,
                    folder,
                    phases=(phase,),
                    deadline_seconds=DEADLINE_SECONDS,
                    observer=observer,
                    report=observer.timed if observer else lambda _: None,
                )
            )

    def _run(self, move: Callable[[], object]) -> None:
        self.seen = None
        try:
            move()
        except Failed as error:
            raise RehearsalRed(
                f"in the rehearsal: {error.message}",
                hint="correct the migration, then run the same command again:"
                " the live database was not touched",
                host=error.host,
                cause=error.cause,
            ) from error

    def _look(self) -> Look:
        self.seen = self.seen or clones.look(self.vault, self.made)
        return self.seen

    def _same(self, wanted: str, found: str, message: str) -> None:
        if wanted == found:
            return
        lines = difflib.unified_diff(
            wanted.splitlines(), found.splitlines(), "wanted", "found", n=1, lineterm=""
        )
        raise RehearsalRed(
            f"in the rehearsal: {message}",
            hint="correct the revert files, then run the same command again:"
            " the live database was not touched",
            host=self.place.shown_host,
            cause="\n".join(list(lines)[:SHOWN_LINES]),
        )

    def outcome(self) -> Outcome:
        """Say what the rehearsal came to."""
        seen = self.observer.seen
        milliseconds = sum(each.milliseconds for each in seen)
        held = [each for each in seen if _waited_for(each, self.rows)]
        longest = max(held, key=lambda each: each.held_milliseconds, default=None)
        names = {each.migration for each in seen}
        says = [
            f"{counted(len(names), 'migration')} in {milliseconds / 1000:.1f} s on a clone",
            f"users would wait {longest.held_milliseconds:.0f} ms at most, for {longest.migration}"
            if longest
            else "nobody would wait",
            *(f"{phase} also backwards and forwards again" for phase in self.undone),
            *self.notes,
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


def _waited_for(observed: Observed, rows: Mapping[str, int]) -> list[Lock]:
    """Return the locks that somebody would wait for: on tables that were there before."""
    return [
        lock
        for lock in observed.locks
        if lock.mode.blocks_writes and _known(lock.table, rows) is not None
    ]


def _known(table: str, rows: Mapping[str, int]) -> int | None:
    return rows.get(table, rows.get(f"public.{table}"))


def _event(observed: Observed, rows: Mapping[str, int]) -> Event:
    waits = _waited_for(observed, rows)
    says = (
        f"{observed.migration} {observed.number}/{observed.of} {observed.kind}"
        f" took {observed.milliseconds:.0f} ms"
    )
    for lock in waits:
        count = _known(lock.table, rows)
        says += (
            f"; {lock.mode.label} on {lock.table} ({counted(count or 0, 'row')},"
            f" {lock.size_bytes / MEGABYTE:.1f} MB) for {observed.held_milliseconds:.0f} ms:"
            f" {lock.mode.who_waits}"
        )
    if observed.rewritten:
        says += f"; writes {', '.join(observed.rewritten)} anew"
    return {
        "type": "rehearsed",
        "migration": observed.migration,
        "number": observed.number,
        "kind": observed.kind,
        "milliseconds": round(observed.milliseconds, 1),
        "held_milliseconds": round(observed.held_milliseconds, 1),
        "locks": [
            {"table": lock.table, "mode": lock.mode.label, "size_bytes": lock.size_bytes}
            for lock in waits
        ],
        "rewritten": list(observed.rewritten),
        "says": says,
    }


def drop(run: Run, vault: Vault, made: Clone) -> None:
    """Drop the clone after a failure, and let nothing hide that failure."""
    try:
        clones.drop(vault, made)
    except ChangeoverError as error:
        says = f"warning: {made.database} was left: {error.message}"
        run.note({"type": "warning", "says": says})
