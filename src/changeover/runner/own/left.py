"""What an earlier run left under way: an own migrator that runs on, or an undoing that was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.errors import InvalidInput, LockHeld
from changeover.executors import backup as backups
from changeover.executors import migrate
from changeover.executors import migrator as commands
from changeover.executors.backup import rehearsal as schemas
from changeover.runner import database
from changeover.runner.own import migrator as own
from changeover.runner.own import schema as own_schema

if TYPE_CHECKING:
    from changeover.executors.migrate import OwnRow
    from changeover.runner.run import Run

UNDER_WAY = {"running", "undoing"}
TURN_SECONDS = 600.0


class OwnMigratorRuns(LockHeld):
    """An own migrator that another run began is still at the database."""


class UndoingUnknown(InvalidInput):
    """Nothing tells whether something of it stands: its definitions are those from before it."""


def refuse(run: Run) -> None:
    """Refuse to go on while an own migrator that another run began is at the database.

    Raises:
        OwnMigratorRuns: It is.
        ChangeoverError: The host that it was begun on, or the database, does not answer.
    """
    if run.app.database is None or not run.app.database.migrates_itself:
        return
    with database.owner_database(run.environment, run.app) as place:
        rows = migrate.own_rows(place).values()
    for row in rows:
        if row.state in UNDER_WAY and row.deployment != run.fleet.deployment:
            _refuse_running(run, row)


def _refuse_running(run: Run, row: OwnRow) -> None:
    runs = commands.left(run.fleet, run.environment.host(row.host)).runs
    if runs is None:
        return
    raise OwnMigratorRuns(
        f"{runs} runs on at {row.host}",
        hint="wait until it has ended, then run the same command again;"
        f" changeover db status {row.release} --env {run.environment.name} tells of it",
        host=row.host,
    )


def undone(run: Run, version: str) -> str:
    """Say that what a version's own migrator did is undone already; empty where it is not.

    An undoing that was cut off is not begun again where the definitions are those from before the
    migrator: a second one would take away what an earlier migration made.

    Raises:
        OwnMigratorRuns: The undoing runs on.
        UndoingUnknown: Definitions do not tell, and neither does the host.
    """
    with (
        database.owner_database(run.environment, run.app) as place,
        migrate.own_turn(
            place, fence=database.fence(run), deadline_seconds=TURN_SECONDS, report=run.report
        ) as turn,
    ):
        row = migrate.own_rows(place)[version]
        if row.state in UNDER_WAY:
            _refuse_running(run, row)
        live = schemas.live_schema(backups.vault_of(run.fleet))
        after = own_schema.digest(live, own.declared(run)[1].tables)
        if after != row.schema_before or not _ended(run, row):
            return ""
        turn.end(
            migrate.Ended(
                release=version,
                state="undone",
                how="found",
                exit=row.exit,
                seconds=row.seconds,
                schema_after=after,
            )
        )
    return (
        f"{own.identity(version)} was undone before: the definitions are those from before it,"
        " rows were not compared; nothing was run"
    )


def _ended(run: Run, row: OwnRow) -> bool:
    """Tell whether it was undone, where the definitions are as before.

    Raises:
        UndoingUnknown: It failed, or its undoing was begun, and nothing tells.
    """
    if row.schema_before != row.schema_after:
        return True
    if row.state == "applied":
        return False
    name = run.environment.name
    if row.state == "failed":
        raise UndoingUnknown(
            f"{own.identity(row.release)} failed and left the definitions as before: nothing of it"
            " stands that an undo could be held to",
            hint=f"look at its rows; changeover deploy {row.release} --env {name} runs it again",
            host=row.host,
        )
    found = commands.left(run.fleet, run.environment.host(row.host))
    if (found.undone_by, found.undo_exit) == (row.deployment, 0):
        return True
    raise UndoingUnknown(
        f"the undoing of {own.identity(row.release)} was cut off, and how it ended is not known:"
        " it changes no definition",
        hint=f"look at its rows; changeover deploy {row.release} --env {name} runs the migrator again",
        host=row.host,
    )
