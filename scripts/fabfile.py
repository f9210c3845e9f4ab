"""Tasks for whoever is on call, the verbs' own code behind them: fab -r scripts status."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fabric import task
from invoke import Collection

from changeover.cli import rollback as going_back
from changeover.cli import status as looking
from changeover.cli.desk import open_desk, output_of
from changeover.errors import ChangeoverError
from changeover.remote.fleet import Fleet, action, call
from changeover.runner.fleet import survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke import Context


def _told(act: Callable[[], None]) -> None:
    """Run something; a failure becomes words and the exit code of the contract."""
    output = output_of(json_lines=False)
    try:
        act()
    except ChangeoverError as error:
        output.error(error)
        sys.exit(error.exit_code)
    finally:
        output.close()


def status(_: Context, env: str = "lab", app: str = "") -> None:
    """Show what is live, warm and locked on every host."""
    _told(lambda: looking.status(env, app or None))


def rollback(_: Context, env: str = "lab", app: str = "", to: str = "") -> None:
    """Go back to what was live before."""
    _told(lambda: going_back.rollback(to=to or None, env=env, app=app or None))


def logs(_: Context, env: str = "lab", app: str = "", lines: int = 100) -> None:
    """Print the last lines that the live colour logged, host by host."""
    _told(lambda: _logs(env, app or None, lines))


def _logs(env: str, app: str | None, lines: int) -> None:
    desk = open_desk(env, app, json_lines=False)
    fleet = Fleet(
        environment=desk.environment,
        app=desk.app,
        deployment="logs",
        owner="",
        nonce="",
        report=desk.output.event,
        any_agent=True,
    )
    for host in desk.environment.hosts_in("app"):
        live = survey.host_states(fleet, [host])[host.name].live
        desk.output.note(f"{host.name}: {live or 'nothing'} is live")
        if live:
            answer = call(fleet, host, [action("logs", colour=live, lines=lines)])["logs"]
            desk.output.data({"type": "logs"}, "\n".join(answer.result["lines"]))
    fleet.close()


namespace = Collection(task(status), task(rollback), task(logs))
