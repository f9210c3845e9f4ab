"""Undo by hand what an app's own migrator did, once an older version serves: under a proved backup."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover import steps
from changeover.colour import version_of
from changeover.errors import InvalidInput
from changeover.executors import migrate
from changeover.release import lineage
from changeover.runner import by_hand, database
from changeover.runner.deployment import forecast
from changeover.runner.deployment.apply import apply
from changeover.runner.fleet import agreement, survey
from changeover.runner.own import left as own_left
from changeover.runner.own import migrator as own

if TYPE_CHECKING:
    from changeover.database import Database
    from changeover.executors.migrate import OwnRow
    from changeover.runner.context import Context
    from changeover.runner.run import Run


class UndoNotPossible(InvalidInput):
    """What the app's own migrator did cannot be undone from here."""


def undo(context: Context, version: str) -> str:
    """Undo a version's own migrator on the live database, under a proved backup; say what that came to.

    Raises:
        UndoNotPossible: It did not run, its undo was never proved, or what serves needs it.
        UndoLosesRows: Rows would be lost; the live database was not touched.
        UndoUnfinished: It was begun and did not bring the definitions back.
    """
    name = context.environment.name
    built = context.run()
    built.release = context.release(version)
    states = survey.host_states(built.fleet, context.environment.lease_hosts)
    live = agreement.settled(states.values(), name)
    host = database.database_host(context.environment, context.declared)
    if live is None or host is None:
        raise _impossible(context, version, "nothing is live, or the app has no database")
    if version in lineage(context.releases, version_of(live)):
        raise UndoNotPossible(
            f"{version_of(live)} serves and needs what {own.identity(version)} did",
            hint=f"changeover rollback --env {name}, then this again",
        )
    forecast.build(built, context.releases)
    with database.owner_database(context.environment, context.declared) as place:
        fence = migrate.fence(place)
        _refuse(context, built, place)
    target = forecast.target(built)
    hint = f"changeover db revert {version} --env {name} begins anew"
    with by_hand.leased(context, "db revert", version, hint=hint, beyond=fence) as run:
        run.release, run.bundle, run.values = built.release, built.bundle, built.values
        if said := own_left.undone(run, version):
            return said
        apps = tuple(each.name for each in run.app_hosts)
        undoing = partial(steps.UndoOwn, hosts=apps[:1], colour=target.colour, version=version)
        for step in (
            by_hand.backup(host, live),
            target.placing(apps),
            undoing(id="rehearse", clone=True),
            undoing(id="undo", final=True),
        ):
            run.step(step, partial(apply, run, step))
    return f"{own.identity(version)} is undone, {version_of(live)} serves all the while"


def _impossible(context: Context, version: str, why: str) -> UndoNotPossible:
    return UndoNotPossible(
        f"{own.identity(version)} cannot be undone: {why}",
        hint=f"changeover db status {version} --env {context.environment.name};"
        f" the way back is a backup: changeover backup list --env {context.environment.name}",
    )


def _refuse(context: Context, built: Run, place: Database) -> None:
    """Refuse what did not run, was not proved, or has something on top.

    Raises:
        UndoNotPossible: One of these.
    """
    release = built.release
    migrator = release.migrator if release else None
    version = release.version if release else ""
    rows = migrate.own_rows(place)
    row = rows.get(version)
    if migrator is None or migrator.undo is None:
        raise _impossible(context, version, "the release declares no undo")
    if row is None or row.state not in {"applied", "failed", "undoing"}:
        raise _impossible(context, version, f"it {row.state if row else 'did not run'}")
    if not row.undo_proved or own.undo_proved(built, migrate.recall(place)) is not True:
        raise _impossible(context, version, "no rehearsal of this bundle proved its undo")
    later = [each.release for each in rows.values() if _stands_on(each, row)]
    later += [each.id for each in migrate.standing(place) if each.started_at > row.started_at]
    if later:
        raise _impossible(context, version, f"{', '.join(later)} came after it")


def _stands_on(other: OwnRow, row: OwnRow) -> bool:
    return other.started_at > row.started_at and other.state != "undone"
