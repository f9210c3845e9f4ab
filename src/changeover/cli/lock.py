"""lock: who holds it, and how to take it over."""

from __future__ import annotations

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk
from changeover.errors import InvalidInput

app = typer.Typer(no_args_is_help=True)


@app.command("status")
def show(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app_name: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Show who holds the lock on each host, why, and until when."""
    from changeover.runner.fleet import survey  # noqa: PLC0415 - hosts are asked only by this verb
    from changeover.runner.lease import holder  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app_name, json_lines=json)
    states, seen = survey.status(desk.environment, desk.app, desk.output.event)
    for line in states.values():
        desk.output.data(
            {"type": "lock", "host": line.host, "lock": line.lock},
            f"{line.host}  {line.lock_words}",
        )
    for event in holder.told(states.values(), desk.environment.name):
        desk.output.data(event, event["says"])
    if seen.failure is not None:
        raise seen.failure


@app.command()
def steal(
    reason: str = typer.Option(..., "--reason", help="Why; it is journaled on every host."),
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app_name: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Take the lock from whoever holds it; their later actions are refused by every host."""
    from changeover.runner.lease import overtaken  # noqa: PLC0415 - hosts are asked only by this verb

    if not (reason.strip() and reason.isprintable()):
        raise InvalidInput(
            "--reason has to be one line of text", hint='changeover lock steal --reason "WHY"'
        )
    desk = open_desk(env, app_name, json_lines=json)
    before = overtaken.steal(context_of(desk), reason)
    desk.output.data(
        {"type": "lock-stolen", "from": before, "reason": reason},
        f"the lock was taken from {before or 'nobody'} and is free now",
    )
