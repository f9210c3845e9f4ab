"""The verbs ``env show`` and ``env diff``; secrets are never shown."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import open_desk, releases_of

app = typer.Typer(no_args_is_help=True)

Before = Annotated[str, typer.Argument(help="The release to come from.")]
After = Annotated[str, typer.Argument(help="The release to go to.")]


@app.command()
def show(
    version: options.Shown = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Show the environment variables of a release, and where each value comes from."""
    from changeover import release  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json)
    releases, (version,) = releases_of(desk, version)
    values = release.environment_values(
        release.load_app(desk.root, desk.app), releases[version], releases, desk.environment
    )
    desk.output.note(f"{desk.app} {version} in {desk.environment.name}")
    redacted = values.redacted()
    for entry in values.entries:
        came = entry.origin if entry.found_as == entry.name else f"{entry.origin} {entry.found_as}"
        shown = redacted[entry.name]
        desk.output.data(
            {
                "type": "variable",
                "name": entry.name,
                "value": shown,
                "origin": entry.origin,
                "found_as": entry.found_as,
            },
            f"{entry.name}={shown}  # {came}",
        )


@app.command()
def diff(
    before: Before,
    after: After,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Show what changes in the variables from one release to another."""
    from changeover import release  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json)
    releases, _ = releases_of(desk, before, after)
    changes = release.diff(
        release.load_app(desk.root, desk.app),
        releases[before],
        releases[after],
        releases,
        desk.environment,
    )
    desk.output.note("+ added  - removed  > renamed  * changed")
    for change in changes:
        desk.output.data({"type": "variable-change", **change.as_json()}, change.as_line())
    if not changes:
        desk.output.note("no difference")
