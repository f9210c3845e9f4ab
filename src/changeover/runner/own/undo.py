"""Undo what an app's own migrator did: on a clone to see whether rows are lost, then on the live database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.errors import Mixed
from changeover.executors import backup as backups
from changeover.executors import migrate
from changeover.executors.backup import rehearsal as clones
from changeover.outcome import Outcome
from changeover.runner import database
from changeover.runner.backups.points import Points
from changeover.runner.own import migrator as own
from changeover.runner.own import schema as own_schema
from changeover.runner.own.rehearsal import on_clone
from changeover.runner.rehearse.clone import UndoLosesRows, cloned, lost

if TYPE_CHECKING:
    from changeover.executors.backup.rehearsal import Look
    from changeover.runner.run import Run
    from changeover.steps import UndoOwn

DEADLINE_SPARE_SECONDS = 600


class UndoUnfinished(Mixed):
    """Undoing failed, or left other definitions than there were."""


def run_undo(run: Run, step: UndoOwn) -> Outcome:
    """Undo, on a clone to see whether rows are lost, or on the live database.

    Raises:
        UndoLosesRows: On the clone rows or values are gone after undoing and running again.
        UndoUnfinished: On the live database the definitions are not as before.
        LiveChanged: The live definitions changed while only a clone was to.
    """
    return _on_clone(run, step) if step.clone else _on_live(run, step)


def _on_clone(run: Run, step: UndoOwn) -> Outcome:
    """Undo and run again on a clone of what is there now: what comes back unchanged was not lost."""
    tables = own.declared(run)[1].tables
    looks: list[Look] = []
    with cloned(run) as clone:
        for what in ("undo", "command"):
            ran = on_clone(run, clone, step.colour, what)
            if not ran.well:
                raise UndoLosesRows(
                    f"on a clone of the backup {what} {ran.ending}",
                    hint="the live database was not touched; correct it and deploy it first",
                    host=ran.host,
                    cause=ran.tail,
                )
            looks.append(clone.look())
    first, (back, again) = clone.first, looks
    if lines := own_schema.changes(first.schema, again.schema, without=tables):
        raise UndoLosesRows(
            f"undoing {own.identity(step.version)} and running it again makes another schema",
            hint="the live database was not touched: leave it as it is, the old version runs on it",
            host=own.host(run).name,
            cause=own_schema.shown(lines),
        )
    if gone := lost(first, again, without=own_schema.in_full(tables)):
        raise UndoLosesRows(
            f"undoing {own.identity(step.version)} would lose what was written since: {', '.join(gone)}",
            hint="the live database was not touched: leave it as it is, the old version runs on it",
            host=own.host(run).name,
        )
    run.own = own.Rehearsed(
        schema_before=first.schema,
        changes=own_schema.changes(first.schema, back.schema, without=tables),
        undo_proved=True,
        seconds=0.0,
    )
    return Outcome(says="on a clone nothing is lost by undoing and running again", changed=False)


def _on_live(run: Run, step: UndoOwn) -> Outcome:
    _, migrator = own.declared(run)
    vault = backups.vault_of(run.fleet)
    with (
        database.owner_database(run.environment, run.app) as place,
        migrate.own_turn(
            place,
            fence=database.fence(run),
            deadline_seconds=migrator.deadline_seconds + DEADLINE_SPARE_SECONDS,
            report=run.report,
        ) as turn,
    ):
        Points(run, 1).before(own.identity(step.version), "revert")
        before = clones.live_schema(vault)
        turn.undoing(step.version, run.fleet.deployment, own.host(run).name)
        ran = own.command(run, step.colour, place.name, "undo", "live")
        after = clones.live_schema(vault)
        lines = own_schema.changes(before, after, without=migrator.tables)
        # The same lines, and not the same text: a clone was restored, and is not in all as the live one.
        back = ran.well and sorted(lines) == sorted(run.own.changes if run.own else ())
        turn.end(
            migrate.Ended(
                release=step.version,
                state="undone" if back else "failed",
                how="executed",
                exit=ran.exit,
                seconds=ran.seconds,
                schema_after=own_schema.digest(after, migrator.tables),
            )
        )
    if not back:
        stands = (
            "the schema changed otherwise than on the clone"
            if ran.well
            else "the schema may be half undone"
        )
        name, backup = run.environment.name, run.fleet.deployment
        raise UndoUnfinished(
            f"{own.said(migrator.undo or ())} {ran.ending}; {stands}",
            hint=f"changeover db status {step.version} --env {name}; the backup from right before:"
            f" changeover backup price {backup} --env {name}",
            host=ran.host,
            cause="\n".join([ran.tail, "what changed in the schema:", own_schema.shown(lines)]),
        )
    return Outcome(
        says=f"{own.said(migrator.undo or ())} {ran.ending}; the schema changed as on the clone",
        figures={"seconds": ran.seconds},
    )
