"""The verb ``db rehearse``: a version's migrations tried on a clone of what is live."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.db_phases import DEPLOYED, chosen
from changeover.cli.desk import context_of, open_desk

Version = Annotated[str, typer.Argument(help="The release whose migrations are rehearsed.")]
Phases = Annotated[
    list[str] | None,
    typer.Option(
        "--phase",
        help="expand, backfill or contract; may be repeated. Expand and backfill unless given.",
    ),
]


def rehearse(
    version: Version,
    phase: Phases = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Try a version's migrations on a clone of a backup made now; the live database is not touched."""
    from changeover.runner.rehearse import by_hand as trial  # noqa: PLC0415 - hosts are asked only by this verb

    phases = chosen(phase, DEPLOYED)
    desk = open_desk(env, app, json_lines=json)
    desk.output.note(trial.rehearse(context_of(desk), version, phases))
