"""provision and drift: bring hosts to their platform state, and see what left it."""

from __future__ import annotations

from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import open_desk
from changeover.errors import CheckRed

Limit = Annotated[
    list[str] | None, typer.Option("--limit", help="Only this host or group; may be repeated.")
]
AnyApp = Annotated[str | None, typer.Option("--app", help="An app; it chooses nothing here.")]
Check = Annotated[
    bool, typer.Option("--check", help="Change nothing; show every file that would change.")
]


class Drifted(CheckRed):
    """A host is not in the state that its last provisioning left."""


def provision(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: AnyApp = None,
    limit: Limit = None,
    *,
    check: Check = False,
    json: options.Json = False,
) -> None:
    """Bring the environment's hosts to their platform state."""
    from changeover.executors import provision as platform  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json, about_hosts=True)
    names = [name for words in limit or () for name in words.split(",") if name]
    done = platform.provision(desk.environment, limit=names, check=check, report=desk.output.event)
    desk.output.data(done.as_json(), done.as_text())


def drift(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: AnyApp = None,
    *,
    json: options.Json = False,
) -> None:
    """Show what differs from the state that the last provisioning left; exit 6 if anything does."""
    from changeover.remote.fleet import Fleet, action, on_each  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json, about_hosts=True)
    fleet = Fleet(
        environment=desk.environment,
        app=desk.app,
        deployment="drift",
        owner="",
        nonce="",
        report=desk.output.event,
    )
    answers = on_each(fleet, desk.environment.hosts, lambda _: [action("drift")]).each("drift")
    drifted = []
    for host, answer in answers.items():
        differences = answer.get("differences", [])
        drifted += [host] if differences else []
        lines = [f"{host:<12} {_words(one)}" for one in differences] or [f"{host:<12} as declared"]
        desk.output.data(
            {"type": "drift", "host": host, "differences": differences}, "\n".join(lines)
        )
    if drifted:
        raise Drifted(
            f"{', '.join(drifted)} left the state that provisioning declared",
            hint=f"changeover provision --check --env {desk.environment.name} shows what would"
            " change; without --check it is brought back",
            host=drifted[0],
        )


def _words(difference: object) -> str:
    if isinstance(difference, dict):
        return ", ".join(f"{key} {value}" for key, value in difference.items())
    return str(difference)
