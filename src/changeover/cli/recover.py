"""resume and abort: an interrupted deployment, from any controller."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk

Force = Annotated[
    bool,
    typer.Option("--force", help="Do not wait until the other controller is known to be gone."),
]


def resume(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    force: Force = False,
    unreachable: options.Unreachable = None,
    json: options.Json = False,
) -> None:
    """Go on where an interrupted deployment stopped; what is done is skipped."""
    from changeover.runner.lease import takeover  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    end = takeover.resume(context_of(desk, unreachable), force=force)
    desk.output.end(f"{end['message']} ({end['seconds']} s)")


def abort(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    force: Force = False,
    json: options.Json = False,
) -> None:
    """Take an interrupted deployment back to what was confirmed before it."""
    from changeover.runner.lease import takeover  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    end = takeover.abort(context_of(desk), force=force)
    desk.output.end(f"{end['message']} ({end['seconds']} s)")
