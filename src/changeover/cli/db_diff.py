"""The verb ``db diff``: what the database that a restore kept has, and the live one has not."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk

Kept = Annotated[
    str | None,
    typer.Argument(
        help="A database beside the live one, as `backup list` names it; the one kept last unless given."
    ),
]
Examples = Annotated[
    int,
    typer.Option(
        "--examples",
        min=0,
        max=100,
        help="How many keys of each kind to show by table; keys are data.",
    ),
]


def diff(
    kept: Kept = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    examples: Examples = 0,
    json: options.Json = False,
) -> None:
    """Compare a kept database with the live one: rows by key, and definitions."""
    from changeover.runner.backups import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    found = by_hand.diff(context_of(desk), kept, examples=examples)
    desk.output.data({"type": "difference", **found.as_json()}, found.words())
