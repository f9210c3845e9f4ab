"""catch-up: app hosts that were left out, brought to what the others serve."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk


def catch_up(
    host: Annotated[
        str | None, typer.Option("--host", help="This host alone; else all that are fenced.")
    ] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Bring hosts that were left out to what the others serve, prove them, and send users there again."""
    from changeover.runner.fleet import catch_up as catching_up  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app, json_lines=json)
    end = catching_up.catch_up(context_of(desk), host)
    if end is None:
        desk.output.data(
            {"type": "deployment-end", "outcome": "done", "exit": 0, "changed": False},
            f"nothing to do: {f'{host} is not fenced' if host else 'no host is fenced'}",
        )
        return
    desk.output.end(f"{end['message']} ({end['seconds']} s)")
