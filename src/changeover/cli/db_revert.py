"""The verb ``db revert``: contract migrations, or what an own migrator did, undone by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.db_releases import releases_with_database
from changeover.cli.desk import context_of, open_desk
from changeover.counts import counted

Version = Annotated[
    str, typer.Argument(help="The release whose contract migrations, or own migrator, are undone.")
]


def revert(
    version: Version,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Undo a version's contract migrations or own migrator, where it is proved that nothing is lost."""
    from changeover.runner.undo import by_hand as undo_by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    releases, _ = releases_with_database(desk, version)
    if releases[version].migrator is not None:
        from changeover.runner.own import by_hand as own_by_hand  # noqa: PLC0415 - few releases have one

        desk.output.note(own_by_hand.undo(context_of(desk), version))
        return
    undone = undo_by_hand.revert(context_of(desk), version)
    for name in undone:
        desk.output.data({"type": "migration", "id": name, "state": "reverted"}, name)
    said = f"{counted(len(undone), 'migration')} undone" if undone else "nothing to undo"
    desk.output.note(said)
