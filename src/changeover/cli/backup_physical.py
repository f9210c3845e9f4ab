"""The physical side of the ``backup`` verbs: what they ask for, and in which words they tell it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import Desk, context_of, open_desk
from changeover.counts import counted
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.backup.archive import PhysicalBackup, Point
    from changeover.executors.backup.physical import Drill, Recovered

MEGABYTE = 1_000_000
# Older points are among the backups' own; `--json` has all of them.
SHOWN_POINTS = 10
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME|NAME", help="A moment (UTC unless it says), or a point."),
]


class MomentMalformed(InvalidInput):
    """What was typed is neither a moment nor the name of a point."""


def create(desk: Desk, *, full: bool) -> None:
    """Take a physical backup and show it."""
    from changeover.runner.backups import physical  # noqa: PLC0415 - hosts are asked only by this verb

    _show(desk, physical.back_up(context_of(desk), "full" if full else "diff"))


def show(desk: Desk) -> None:
    """Show the physical backups, which moments can be recovered, and the last named points."""
    from changeover.runner.backups import physical  # noqa: PLC0415 - as above

    found = physical.archive(context_of(desk))
    if found is None:
        return
    for backup in found.backups:
        _show(desk, backup)
    for point in found.points if desk.output.json_lines else found.points[-SHOWN_POINTS:]:
        desk.output.data({"type": "point", **dataclasses.asdict(point)}, _point_words(point))
    if found.earliest is None:
        text = "no moment can be recovered: changeover backup create --physical"
    else:
        text = f"any moment from {found.earliest} to {found.latest or 'an unknown one'} can be recovered"
    drilled = found.drilled and f"; last drill {found.drilled['drilled']}"
    desk.output.data(
        {
            "type": "archive",
            "repository": found.repository,
            "earliest": found.earliest,
            "latest": found.latest,
            "failing": found.failing,
            "lost": found.lost,
            "age_seconds": found.age_seconds,
            "every_seconds": found.every_seconds,
            "drilled": found.drilled,
            "scratch_bytes": found.scratch_bytes,
        },
        text + (drilled or "; no drill yet: changeover backup drill"),
    )
    for warned in found.warnings():
        command = warned.command.replace("{env}", desk.environment.name)
        desk.output.note(f"warning: {warned.says}: {command}")
    if found.scratch_bytes is not None:
        desk.output.note(
            f"warning: a scratch cluster takes {found.scratch_bytes / MEGABYTE:.1f} MB: a drill or a recovery is"
            " under way, or was killed; the next one, or the next backup, removes what was left"
        )
    if not found.apart:
        desk.output.note(
            "warning: the repository is on the database's own host and does not survive its loss"
        )


def moment(text: str) -> str:
    """Return a moment with its offset from UTC, or the name of a point as it is.

    Raises:
        MomentMalformed: It is neither.
    """
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        if NAME.fullmatch(text):
            return text
        raise MomentMalformed(
            f"{text!r} is neither a moment nor the name of a point",
            hint='write a moment as "2026-01-15 10:15:00" (UTC) or 2026-01-15T11:15:00+01:00;'
            " changeover backup list names the points",
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).isoformat()


def recover(desk: Desk, at: str) -> Recovered:
    """Make the moment into a proved backup, and say what there was and what would be lost."""
    from changeover.runner.backups import physical  # noqa: PLC0415 - as above

    done = physical.recover(context_of(desk), moment(at))
    desk.output.data(
        {"type": "recovered", **dataclasses.asdict(done)},
        f"{done.words} is recovered from {done.label} and is backup {done.backup}, proved: "
        f"{counted(done.proof.rows, 'row')} in {counted(done.proof.tables, 'table')}"
        f"{_ledger(done.migrations)}",
    )
    return done


def drill(
    at: At = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Recover on a scratch cluster beside the live one, read every row, and remove it again."""
    from changeover.runner.backups import physical  # noqa: PLC0415 - as above

    desk = open_desk(env, app, json_lines=json)
    done = physical.drill(context_of(desk), moment(at) if at else "")
    desk.output.data({"type": "backup-drill", **dataclasses.asdict(done)}, _drill_words(done))


def point(
    name: Annotated[str, typer.Argument(help="What the moment is to be called.")],
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Give this moment a name in the archive, to recover to it with `backup restore --at NAME`."""
    from changeover.runner.backups import physical  # noqa: PLC0415 - as above

    if moment(name) != name:
        raise MomentMalformed(f"{name!r} would be read as a moment", hint="begin with a letter")
    desk = open_desk(env, app, json_lines=json)
    made = physical.point(context_of(desk), name)
    desk.output.data({"type": "point", **dataclasses.asdict(made)}, _point_words(made))
    if made.known:
        desk.output.note(f"{made.name} was there already, and keeps its moment: {made.at}")
    if made.failing:
        desk.output.note(
            "warning: the log did not arrive in the repository then: changeover backup list tells more"
        )


def _show(desk: Desk, backup: PhysicalBackup) -> None:
    damaged = "  DAMAGED: a page is not as its checksum says" if backup.damaged else ""
    desk.output.data(
        {"type": "physical", **dataclasses.asdict(backup)},
        f"{backup.label}  {backup.type}  {backup.bytes / MEGABYTE:.1f} MB, "
        f"{backup.stored_bytes / MEGABYTE:.1f} MB stored  finished {backup.finished}{damaged}",
    )


def _point_words(point: Point) -> str:
    return f"{point.name}  {point.at}  point{point.before and f' before {point.before}'}"


def _drill_words(done: Drill) -> str:
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done.seconds.items())
    return (
        f"{done.words} was recovered from {done.label}: {counted(done.rows, 'row')} in "
        f"{counted(done.tables, 'table')} read{_ledger(done.migrations)} ({spent}); the scratch "
        f"cluster is gone\n{done.price.words()}"
    )


def _ledger(migrations: Mapping[str, int] | None) -> str:
    if migrations is None:
        return ", no ledger of migrations"
    unfinished = migrations["unfinished"]
    half = f", {unfinished} half done" if unfinished else ""
    return f", {counted(migrations['applied'], 'migration')} in the ledger{half}"
