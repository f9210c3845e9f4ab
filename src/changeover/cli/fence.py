"""fence: keep users from one app host, at the balancer."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk
from changeover.errors import InvalidInput


def fence(
    host: Annotated[str, typer.Argument(help="The app host that users are kept from.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for colleagues; users do not see it.")
    ] = "",
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Keep users from one app host, at the balancer, until catch-up has proved it and brings it back."""
    from changeover.runner.fleet import fencing  # noqa: PLC0415 - hosts are asked only by this verb

    if not reason.isprintable():
        raise InvalidInput("--reason has to be one line of text", hint="changeover fence --help")
    desk = open_desk(env, app, json_lines=json)
    outcome = fencing.fence(context_of(desk), host, reason)
    back = f"changeover catch-up --host {host} --env {desk.environment.name}"
    told = {"type": "fence", "host": host, "command": back, **outcome.figures}
    desk.output.data(told, f"{outcome.says}; {back} brings it back")
