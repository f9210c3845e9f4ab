"""rollback and finalize: the way back, and the end of the bake window."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk, reaching
from changeover.errors import InvalidInput


class ReasonMissing(InvalidInput):
    """The bake window is to end before its time, and nobody says why."""


def rollback(
    to: Annotated[str | None, typer.Option("--to", help="A version, or one colour of it.")] = None,
    restore_db: Annotated[
        str | None,
        typer.Option("--restore-db", help="Also swap the database for this backup; rows are lost."),
    ] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Go back to what was live before; no argument is needed.

    It asks only where the database is to be swapped, since that loses rows.
    """
    desk = open_desk(env, app, json_lines=json)
    lines = reaching(desk)
    from changeover.runner.rollback import back  # noqa: PLC0415 - hosts are reached while it loads

    context = context_of(desk, lines=lines)
    if restore_db is not None:
        from changeover.cli.confirm import ask  # noqa: PLC0415 - only this way needs it

        cost = back.price(context.run(), restore_db)
        back.refuse_contracted(context, to=to, backup=restore_db)
        desk.output.note(cost)
        ask(yes=yes, question=f"go back and leave that behind on {desk.environment.name}?")
    end = back.rollback(context, to=to, backup=restore_db)
    desk.output.end(f"{end['message']} ({end['seconds']} s)")


def finalize(
    early: Annotated[
        str | None,
        typer.Option("--early", help="Why the bake window ends before its time; it is journaled."),
    ] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """End the bake window: a proved backup, contract migrations, the old colours removed."""
    from changeover.cli.confirm import ask  # noqa: PLC0415 - `--help` does without
    from changeover.runner.deployment import finish  # noqa: PLC0415 - hosts are asked only by this verb

    if early is not None and not (early.strip() and early.isprintable()):
        raise ReasonMissing(
            "--early has no reason in it", hint='say why: changeover finalize --early "WHY"'
        )
    desk = open_desk(env, app, json_lines=json)
    stage = finish.prepare(context_of(desk), early=early)
    desk.output.note(finish.words(stage))
    ask(yes=yes, question=f"finalize {stage.plan.version} on {desk.environment.name}?")
    end = finish.walk(stage)
    desk.output.end(f"{end['message']} ({end['seconds']} s)")
