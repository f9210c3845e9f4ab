"""Rehearse an app's own migrator on a clone of the proved backup, and whether its undo undoes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import Mixed
from changeover.executors import migrate
from changeover.executors.backup import rehearsal as clones
from changeover.outcome import Outcome
from changeover.runner import database
from changeover.runner.own import left as own_left
from changeover.runner.own import migrator as own
from changeover.runner.own import schema as own_schema
from changeover.runner.rehearse.clone import cloned
from changeover.runner.rehearse.rehearsal import RehearsalRed

if TYPE_CHECKING:
    from changeover.executors.backup.rehearsal import Look
    from changeover.executors.migrator import What
    from changeover.migrations.checks import Checks
    from changeover.outcome import Ran
    from changeover.runner.rehearse.clone import Cloned
    from changeover.runner.run import Run
    from changeover.steps import RehearseOwn

AGAIN = "correct it, then run the same command again: the live database was not touched"


class LiveChanged(Mixed):
    """The live definitions changed while a command ran that was to see a clone alone."""


def rehearse(run: Run, step: RehearseOwn) -> Outcome:
    """Run the release's migrator on a clone of the deployment's backup; the live database is not touched.

    Raises:
        RehearsalRed: It fails there, leaves something undone by its own status, or breaks a data check.
        LiveChanged: The live definitions changed meanwhile.
    """
    with cloned(run) as clone:
        tried = _Trial(run, step, clone)
        ran = tried.forward()
        after = clone.look()
        tables = own.declared(run)[1].tables
        changes = own_schema.changes(clone.first.schema, after.schema, without=tables)
        proved, says = tried.undo(after)
    _remember(run, step, proved=proved, says=says)
    run.own = own.Rehearsed(
        schema_before=clone.first.schema, changes=changes, undo_proved=proved, seconds=ran.seconds
    )
    if changes:
        told = own_schema.shown(changes).replace("\n", "\n    ")
        run.note({"type": "schema-change", "lines": list(changes), "says": told})
    return Outcome(
        says="; ".join(
            [
                f"{own.said(own.declared(run)[1].command)} in {ran.seconds:.1f} s on a clone",
                counted(len(changes), "line of the schema changes", "lines of the schema change"),
                *tried.notes,
                says,
            ]
        ),
        changed=False,
        figures={"seconds": ran.seconds, "schema_lines": len(changes), "undo_proved": proved},
    )


def _remember(run: Run, step: RehearseOwn, *, proved: bool, says: str) -> None:
    """Write down whether the undo is proved, for a plan that is made later."""
    found = migrate.Undo(
        subject=own.identity(step.version),
        digest=run.bundle.digest if run.bundle else "",
        lossless=proved,
        because="" if proved else says,
        deployment=run.fleet.deployment,
    )
    with database.owner_database(run.environment, run.app) as place:
        migrate.remember(place, [found], [], fence=database.fence(run))


def on_clone(run: Run, clone: Cloned, colour: str, what: What) -> Ran:
    """Run one command at a clone, and hold the live definitions to what they were.

    They are not looked at where an earlier run's command is at the live database: it changes them,
    and may keep them locked until it ends, which is waited for.

    Raises:
        LiveChanged: They changed: the command finds the live database by another variable, or
            somebody else was at it.
    """
    if _under_way(run):
        return own.command(run, colour, clone.place.name, what, "clone")
    before = clones.live_schema(clone.vault)
    ran = own.command(run, colour, clone.place.name, what, "clone")
    if lines := own_schema.changes(before, clones.live_schema(clone.vault)):
        raise LiveChanged(
            f"while {what} of the migrator ran on a clone, the live schema changed:"
            f" {counted(len(lines), 'line')}",
            hint="have the migrator take its database from DATABASE_URL or from PGHOST and PGDATABASE"
            " alone; what the live database holds:"
            f" changeover db status --env {run.environment.name}",
            host=ran.host,
            cause=own_schema.shown(lines),
        )
    return ran


def _under_way(run: Run) -> bool:
    with database.owner_database(run.environment, run.app) as place:
        rows = migrate.own_rows(place)
    row = rows.get(run.release.version) if run.release else None
    return row is not None and row.state in own_left.UNDER_WAY


@dataclass(slots=True)
class _Trial:
    """One rehearsal under way."""

    run: Run
    step: RehearseOwn
    clone: Cloned
    notes: list[str] = dataclasses.field(default_factory=list)

    def forward(self) -> Ran:
        """Run the command, and hold the clone to its status and its data checks."""
        release, migrator = own.declared(self.run)
        checks = own.checks_of(release)
        before = migrate.own_noted(self.clone.place, checks) if checks else None
        ran = self._command("command")
        if not ran.well:
            raise self._red(f"{own.said(migrator.command)} {ran.ending}", ran.tail)
        if migrator.status is not None:
            left = self._command("status")
            if not left.well:
                message = (
                    f"{own.said(migrator.status)} says that something is left: it {left.ending}"
                )
                raise self._red(message, left.tail)
        if checks is not None:
            self._check(release.version, checks, before)
        return ran

    def _check(self, version: str, checks: Checks, before: migrate.Before | None) -> None:
        taken = migrate.own_taken(self.clone.place, checks, before)
        migrate.own_told(self.run.report, own.identity(version), taken)
        red = migrate.own_red(checks, taken)
        if red:
            raise self._red(red[0], "\n".join(red[1:]))
        self.notes.append(f"{counted(len(taken), 'data check')} green")

    def undo(self, forward: Look) -> tuple[bool, str]:
        """Try whether the declared undo brings everything back and the command runs again after it."""
        _, migrator = own.declared(self.run)
        if migrator.undo is None:
            return False, "no undo is declared: the way back is the backup"
        words = own.said(migrator.undo)
        lacks = self._back(words) or self._again(forward, words)
        if lacks:
            return False, f"not proved: {lacks}"
        return True, f"{words} brings back every definition and row, and forwards again"

    def _back(self, words: str) -> str:
        """Undo, and say what is not as before; empty where everything is."""
        ran = self._command("undo")
        if not ran.well:
            return f"{words} {ran.ending}"
        first, back = self.clone.first, self.clone.look()
        tables = own.declared(self.run)[1].tables
        if lines := own_schema.changes(first.schema, back.schema, without=tables):
            return f"{words} leaves {counted(len(lines), 'line')}: {'; '.join(lines[:3])}"
        names = sorted(
            (first.fingerprints.keys() | back.fingerprints.keys()) - own_schema.in_full(tables)
        )
        found = back.fingerprints
        differing = [each for each in names if first.fingerprints.get(each) != found.get(each)]
        if differing:
            return f"{words} leaves other rows in {', '.join(differing)}"
        behind = back.behind(first)
        return f"{words} sets back {', '.join(behind)}" if behind else ""

    def _again(self, forward: Look, words: str) -> str:
        """Run the command after its undo, and say what is not as after the first time."""
        ran = self._command("command")
        if not ran.well:
            return f"after {words} the command {ran.ending}"
        schema = self.clone.look().schema
        if lines := own_schema.changes(forward.schema, schema):
            return f"after {words} the command makes another schema: {'; '.join(lines[:3])}"
        return ""

    def _command(self, what: What) -> Ran:
        return on_clone(self.run, self.clone, self.step.colour, what)

    def _red(self, message: str, cause: str) -> RehearsalRed:
        return RehearsalRed(
            f"in the rehearsal: {message}",
            hint=AGAIN,
            host=own.host(self.run).name,
            cause=cause or None,
        )
