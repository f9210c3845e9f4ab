"""status, history, report and audit: what is, and what was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk, open_desks
from changeover.counts import counted
from changeover.errors import ChangeoverError

if TYPE_CHECKING:
    from changeover.cli.desk import Desk

audit = typer.Typer(no_args_is_help=True, help="Check the journals.")


def status(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.AppOrAll = None,
    *,
    json: options.Json = False,
) -> None:
    """Show what is live, warm and locked on every host, the bake window, and the way back.

    Of every app of the environment, where none is named.
    """
    told = [(desk, _failure(desk)) for desk in open_desks(env, app, json_lines=json)]
    for desk, failure in told:
        if failure is not None:
            desk.name_app()
            raise failure


def _failure(desk: Desk) -> ChangeoverError | None:
    """Tell one app's status; what keeps it from being told is returned, and hides no other app's."""
    try:
        return _told(desk)
    except ChangeoverError as error:
        return error


def _told(desk: Desk) -> ChangeoverError | None:
    """Tell one app's status, and return why a host gave no answer."""
    from changeover.runner import outlook  # noqa: PLC0415 - hosts are asked only by this verb
    from changeover.runner.backups import archive  # noqa: PLC0415 - hosts are asked only by this verb
    from changeover.runner.fleet import away, survey  # noqa: PLC0415 - hosts are asked only by this verb
    from changeover.runner.lease import holder  # noqa: PLC0415 - hosts are asked only by this verb

    states, seen = survey.status(desk.environment, desk.app, desk.output.event)
    for line in states.values():
        desk.output.data(line.as_json(), line.as_text())
    for event in (
        *holder.told(states.values(), desk.environment.name),
        *away.status(desk.environment, states, seen),
        *outlook.outlook(context_of(desk), list(seen.states.values())),
    ):
        desk.output.data(event, event["says"])
    for warned in archive.warned(desk.environment, desk.app):
        says = f"{warned.says}: {warned.command.replace('{env}', desk.environment.name)}"
        desk.output.data({"type": "archive-warning", "about": warned.about, "says": says}, says)
    return seen.failure


def history(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """List the deployments that this controller ran, oldest first."""
    from changeover import journal, report  # noqa: PLC0415 - `--help` does without
    from changeover.runner.run import journal_directory  # noqa: PLC0415

    desk = open_desk(env, app, json_lines=json)
    for path in journal.journals(journal_directory(desk.root, desk.environment)):
        summary = report.summarise(journal.read(path))
        if summary.app == desk.app:
            text = (
                f"{summary.deployment}  {summary.outcome:<11} {summary.seconds:7.1f} s  "
                f"{' '.join(filter(None, (summary.command, summary.way)))}  by {summary.owner}"
            )
            desk.output.data({**summary.as_json(), "type": "deployment"}, text)


def report(
    deployment: Annotated[str | None, typer.Argument(help="Its id; the newest if none.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page to this file.")] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Tell one deployment: every step, how long it took, and how it ended."""
    from changeover import journal  # noqa: PLC0415 - `--help` does without
    from changeover import report as telling  # noqa: PLC0415
    from changeover.runner.run import journal_directory  # noqa: PLC0415

    desk = open_desk(env, app, json_lines=json)
    directory = journal_directory(desk.root, desk.environment)
    try:
        path = journal.find(directory, deployment, app=desk.app)
    except journal.DeploymentUnknown as error:
        error.hint = f"changeover history --env {desk.environment.name}"
        raise
    summary = telling.summarise(journal.read(path))
    if html is not None:
        desk.output.save(html, telling.as_html(summary))
        desk.output.note(f"written to {html}")
        return
    desk.output.data(summary.as_json(), telling.as_text(summary))


@audit.command()
def verify(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Check the chain of every journal of this controller; exit 6 where one was altered."""
    from changeover import journal  # noqa: PLC0415 - `--help` does without
    from changeover.runner.run import journal_directory  # noqa: PLC0415

    desk = open_desk(env, app, json_lines=json)
    for path in journal.journals(journal_directory(desk.root, desk.environment)):
        events = journal.verify(path)
        desk.output.data(
            {"type": "audit", "deployment": path.stem, "events": events, "intact": True},
            f"{path.stem}  {counted(events, 'event')}, unaltered",
        )


@audit.callback()
def _audit() -> None:
    """Check the journals."""
