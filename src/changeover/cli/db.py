"""The verbs ``db status``, ``db plan`` and ``db migrate``; the others have modules of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import db_checks, db_own, options
from changeover.cli.db_adopt import adopt, tell_baseline
from changeover.cli.db_diff import diff
from changeover.cli.db_lint import lint
from changeover.cli.db_phases import DEPLOYED, chosen
from changeover.cli.db_rehearse import rehearse
from changeover.cli.db_releases import releases_with_database
from changeover.cli.db_revert import revert
from changeover.cli.desk import Desk, context_of, open_desk
from changeover.counts import about_rows, counted
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.database import Database
    from changeover.executors.migrate import StatementPreview
    from changeover.migrations.records import Migration, MigrationFolder, Phase

app = typer.Typer(no_args_is_help=True)

EVERY: tuple[Phase, ...] = ("expand", "backfill", "contract")
MEBIBYTE = 1 << 20

Version = Annotated[str, typer.Argument(help="The release whose migrations are meant.")]
Phases = Annotated[
    list[str] | None,
    typer.Option("--phase", help="expand, backfill or contract; may be repeated."),
]
Additions = Annotated[
    list[str] | None,
    typer.Option("--phase", help="expand or backfill; may be repeated. Contract is `finalize`."),
]


class ContractByHand(InvalidInput):
    """Contract migrations run in `finalize` alone."""


@app.command()
def status(
    version: options.Shown = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Show how far each migration is, by the ledger in the database."""
    from changeover.executors import migrate  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json)
    first = True
    for place, folder in _folders(desk, version):
        if first and (begun := migrate.began(place)):
            tell_baseline(desk.output, begun)
        first = False
        for found in migrate.status(place, folder):
            when = f"{found.changed_at:%Y-%m-%d %H:%M:%S}" if found.changed_at else ""
            desk.output.data(
                {
                    "type": "migration",
                    "id": found.id,
                    "state": found.state,
                    "done": found.done,
                    "statements": found.statements,
                    "sha256": found.checksum,
                    "recorded": found.recorded,
                    "changed_at": found.changed_at,
                },
                f"{found.state:<9} {found.done}/{found.statements:<3} {found.id}  {when}".rstrip(),
            )
    db_own.status(desk, version)


@app.command()
def plan(
    version: Version,
    phase: Phases = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Show every statement that would run, the lock it takes, and on how much."""
    from changeover.executors import migrate  # noqa: PLC0415 - `--help` does without
    from changeover.runner.rehearse import measurements, old_version  # noqa: PLC0415

    desk = open_desk(env, app, json_lines=json)
    count = checks = 0
    phases = chosen(phase, EVERY)
    every: list[Migration] = []
    known: migrate.Rehearsals | None = None
    for place, folder in _folders(desk, version):
        every += migrate.pending(place, folder, EVERY)
        migrate.foresee(place, every)
        known = known or migrate.recall(place)
        for statement in migrate.preview(place, folder, phases):
            count += 1
            found = known.of(statement.migration, statement.number, statement.digest)
            measured = measurements.told(found, known.now)
            told = "\n".join([_told(statement), *(f"  {line}" for line in measured)])
            desk.output.data({**statement.as_event(), "measured": measured}, told)
        for migration in migrate.pending(place, folder, phases):
            checks += db_checks.show(desk.output, migration)
            for line in old_version.told([migration], [folder], known):
                event = {"type": "old-version", "migration": migration.id, "says": line}
                desk.output.data(event, line)
    own = db_own.plan(desk, version)
    held = f", {counted(checks, 'data check')} to hold" if checks else ""
    beside = f" and {counted(own, 'migrator')} of the app's own" if own else ""
    desk.output.note(f"{counted(count, 'statement')}{beside} to run{held}")


app.command()(lint)
app.command()(adopt)
app.command()(diff)
app.command()(rehearse)
app.command()(revert)


@app.command("migrate")
def migrate_(
    version: Version,
    phase: Additions = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Run what is not applied yet of expand and backfill, under the lease of a deployment."""
    from changeover.executors import migrate  # noqa: PLC0415 - `--help` does without
    from changeover.runner import by_hand, database  # noqa: PLC0415 - `--help` does without
    from changeover.runner.backups.points import Points  # noqa: PLC0415
    from changeover.runner.rehearse import beforehand  # noqa: PLC0415

    phases = chosen(phase, DEPLOYED)
    if "contract" in phases:
        raise ContractByHand(
            "contract migrations end the bake window: an older release that comes back needs"
            " what they take away",
            hint=f"changeover finalize --env {env} runs them, under a proved backup",
        )
    desk = open_desk(env, app, json_lines=json)
    releases_with_database(desk, version)
    db_own.refuse(desk, version)
    hint = f"changeover db migrate {version} --env {desk.environment.name} goes on"
    done = 0
    known = max((migrate.fence(place) for place, _ in _folders(desk, version)), default=0)
    opened = context_of(desk)
    before = beforehand.steps_before(opened, version, phases)
    with by_hand.leased(opened, "db migrate", version, hint=hint, beyond=known) as run:
        if before is not None:
            run.release = opened.release(version)
            beforehand.prove(run, before)
        points = Points(
            run, sum(len(migrate.pending(*each, phases)) for each in _folders(desk, version))
        )
        for place, folder in _folders(desk, version):
            outcome = migrate.apply(
                place,
                folder,
                phases=phases,
                before=points.before,
                fence=database.fence(run),
                report=desk.output.event,
                rehearsed=migrate.recall(place).bounds(folder.migrations),
            )
            done += len(outcome.done)
            for name in outcome.done:
                desk.output.data({"type": "migration", "id": name, "state": "applied"}, name)
    desk.output.note(f"{counted(done, 'migration')} applied" if done else "nothing to do")


def _folders(desk: Desk, version: str | None) -> Iterator[tuple[Database, MigrationFolder]]:
    """Give the owner's database with each release up to ``version``, while the tunnel is open."""
    from changeover.runner import database  # noqa: PLC0415 - `--help` does without

    folders = database.migration_folders(*releases_with_database(desk, version))
    with database.owner_database(desk.environment, context_of(desk).declared) as place:
        for folder in folders:
            yield place, folder


def _told(statement: StatementPreview) -> str:
    lines = [f"{statement.migration}:{statement.line}  {statement.kind}"]
    if not statement.transactional:
        lines[0] += " (alone, outside a transaction)"
    lines += [f"    {line}" for line in statement.sql.splitlines()]
    for target in statement.targets:
        rows = about_rows(target.rows)
        size = f"{rows}, {target.size_bytes / MEBIBYTE:.1f} MiB"
        lines.append(
            f"  {target.lock} on {target.table}"
            f" ({size if target.exists else 'does not exist yet'}): {target.who_waits}"
        )
    if statement.opaque:
        lines.append("  its text does not tell what it locks")
    elif statement.rewrites is not False:
        lines.append("  writes the table anew" if statement.rewrites else "  may write it anew")
    return "\n".join(lines)
