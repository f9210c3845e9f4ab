"""The verbs ``backup create``, ``list``, ``verify``, ``price``, ``restore`` and the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import backup_physical, backup_words, options
from changeover.cli.desk import Desk, context_of, open_desk
from changeover.counts import counted
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from changeover.executors.backup import Backup, Unfinished

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The backup, as `backup list` names it.")]
Warm = Annotated[
    bool,
    typer.Option("--keep", help="Keep the restored database: a restore then is one swap."),
]


class BackupUnclear(InvalidInput):
    """Two ways of saying what is meant were given, or none."""


class FolderTaken(InvalidInput):
    """The folder for the opened configuration exists."""


@app.command()
def create(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    keep: Warm = False,
    physical: Annotated[
        bool, typer.Option("--physical", help="The whole cluster instead, by pgBackRest.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With --physical: not what changed since the last one.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Back up the database and the live configuration, and prove it by a restore."""
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    if (full and not physical) or (keep and physical):
        raise BackupUnclear(
            "--full goes with --physical, and --keep without it", hint="changeover backup --help"
        )
    desk = open_desk(env, app, json_lines=json)
    if physical:
        backup_physical.create(desk, full=full)
        return
    _show(desk, by_hand.create(context_of(desk), keep=keep))


@app.command("list")
def list_(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """List the backups, newest first, and whether each one is proved."""
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    context = context_of(desk)
    found = by_hand.found(context)
    for backup in found.backups:
        _show(desk, backup)
    if not found.backups:
        desk.output.note("no backups yet")
    for database in found.databases or ():
        desk.output.data(
            {"type": "database", **dataclasses.asdict(database)},
            backup_words.beside_words(database),
        )
    if found.databases is None:
        desk.output.note("the server does not say which databases are beside the live one")
    _warn(desk, found.unfinished)
    backup_physical.show(desk)


@app.command()
def verify(
    backup: Name,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    keep: Warm = False,
    json: options.Json = False,
) -> None:
    """Read all of a backup, restore it beside the live database, and compare; exit 6 if not."""
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    proof = by_hand.verify(context_of(desk), backup, keep=keep)
    desk.output.data(
        {"type": "proof", **dataclasses.asdict(proof)}, backup_words.proof_words(proof)
    )


@app.command()
def price(
    backup: Name,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Say what going back to a backup would lose, table by table."""
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    found = by_hand.price(context_of(desk), backup)
    desk.output.data({"type": "price", **found.as_json()}, found.words())


app.command()(backup_physical.point)
app.command()(backup_physical.drill)


@app.command()
def restore(
    backup: Annotated[
        str | None, typer.Argument(help="The backup, as `backup list` names it.")
    ] = None,
    at: backup_physical.At = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Make a backup the live database; the one that was live is kept under another name."""
    from changeover.cli.confirm import ask, require  # noqa: PLC0415 - `--help` does without
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    if (backup is None) == (at is None):
        raise BackupUnclear(
            "name a backup, or a moment with --at, and not both",
            hint=f"changeover backup list --env {env}",
        )
    desk = open_desk(env, app, json_lines=json)
    context = context_of(desk)
    require(yes=yes or at is None)
    chosen = backup or backup_physical.recover(desk, str(at)).backup
    found = None
    left = by_hand.found(context).unfinished
    if left is not None and left.live and left.backup == chosen:
        # The live database is the restored one: what it has lacked since then is no price.
        desk.output.note(left.words(desk.environment.name))
    else:
        found = by_hand.price(context, chosen)
        desk.output.note(found.words())
        ask(yes=yes, question=f"go back to {at or chosen} on {desk.environment.name}?")
    done = by_hand.restore(context, chosen)
    desk.output.data(
        {"type": "restored", **dataclasses.asdict(done)},
        backup_words.restored_words(done, found, desk.environment.name),
    )


@app.command()
def prune(
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many proved ones stay.")] = 3,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Remove what is older than the newest proved backups; the newest proved one always stays."""
    from changeover.cli.confirm import ask  # noqa: PLC0415 - `--help` does without
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    context = context_of(desk)
    due = by_hand.due(context, keep)
    _warn(desk, due.unfinished)
    if not due.names:
        desk.output.data({"type": "pruned", "backups": [], "databases": []}, "nothing to remove")
        return
    desk.output.note(backup_words.due_words(due))
    ask(yes=yes, question=f"remove them from {desk.environment.name} for good?")
    gone = by_hand.retain(context, keep, due.names)
    names = ", ".join((*gone.backups, *gone.databases))
    desk.output.data({"type": "pruned", **dataclasses.asdict(gone)}, f"removed: {names or 'none'}")


@app.command("open")
def open_(
    backup: Name,
    to: Annotated[Path, typer.Option("--to", help="A new folder; it will hold secrets.")],
    identity: Annotated[
        Path | None,
        typer.Option("--identity", help="age identity file; the environment's by default."),
    ] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Decrypt the configuration in a backup into a new folder that only you can read."""
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    key = identity or desk.environment.backup_identity
    if key is None:
        message = f"environment {desk.environment.name} names no backup identity"
        raise InvalidInput(message, hint="add --identity FILE")
    files = by_hand.open_(context_of(desk), backup, key)
    _write(to, files)
    for name in files:
        desk.output.data({"type": "file", "path": str(to / name)}, str(to / name))


def _warn(desk: Desk, unfinished: Unfinished | None) -> None:
    """Tell of a restore that is not finished: no database beside the live one goes until it is."""
    if unfinished is not None:
        words = unfinished.words(desk.environment.name)
        desk.output.data({"type": "unfinished", **dataclasses.asdict(unfinished)}, words)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError as error:
        raise FolderTaken(f"{folder} exists", hint="name a new folder with --to") from error
    for name, content in files.items():
        path = folder.joinpath(*(part for part in name.split("/") if part not in {"", ".", ".."}))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)


def _show(desk: Desk, backup: Backup) -> None:
    if backup.damage:
        text = f"{backup.backup}  DAMAGED: {backup.damage}"
    else:
        proved = f"proved {backup.proof.at}" if backup.proof else "NOT PROVED"
        origin = f"recovered to {backup.recovered['words']}" if backup.recovered else "no release"
        text = (
            f"{backup.backup}  {backup.release or origin:<8} "
            f"{backup.bytes / backup_words.MEGABYTE:.1f} MB  {counted(backup.rows, 'row')}  {proved}"
        )
    desk.output.data({"type": "backup", **dataclasses.asdict(backup)}, text)
