"""task: work of the app itself, listed and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import confirm, options
from changeover.cli.desk import context_of, open_desk
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from changeover.executors.task import What
    from changeover.release import Task

app = typer.Typer(no_args_is_help=True)

Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A value of the task; may be repeated."),
]


class CommandUnclear(InvalidInput):
    """Two commands of a task were asked for at once."""


class SetUnclear(InvalidInput):
    """What was typed for a value has no name, or the name stands there twice."""


@app.command("list")
def show(
    version: Annotated[
        str | None, typer.Argument(help="The release; the one that is live unless given.")
    ] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app_name: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Show the tasks of a release, the values they take, and what a way back does about them."""
    from changeover.runner.tasks import by_hand  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app_name, json_lines=json)
    context = context_of(desk)
    release = context.release(version) if version else by_hand.live(context)[0]
    for name, task in release.tasks.items():
        desk.output.data(
            {
                "type": "task",
                "task": name,
                "version": release.version,
                **task.model_dump(mode="json"),
            },
            "\n".join(_lines(name, task)),
        )
    if not release.tasks:
        desk.output.note(f"{release.version} has no tasks")


def _lines(name: str, task: Task) -> list[str]:
    dry = ", has a dry run" if task.dry_run else ""
    lines = [f"{name}: {task.summary}{dry}; {_stays(task)}"]
    for key, each in task.parameters.items():
        bounds = [
            *(["required"] if each.required else []),
            *([f"from {each.minimum}"] if each.minimum is not None else []),
            *([f"to {each.maximum}"] if each.maximum is not None else []),
            *([f"matches {each.matches}"] if each.matches is not None else []),
            *([f"{each.default} unless set"] if each.default is not None else []),
        ]
        words = ", ".join([each.type, *bounds])
        lines.append(f"  {key}  {words}{f': {each.summary}' if each.summary else ''}")
    return lines


def _stays(task: Task) -> str:
    """Say what becomes of what it did."""
    if task.undo:
        return "what it does is taken back by --undo"
    return "what it does stays, also where the version before comes back"


@app.command()
def run(  # noqa: PLR0913 - one option each, as they are typed
    name: Annotated[str, typer.Argument(help="The task, of the release that is live.")],
    values: Sets = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app_name: options.App = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have it tell what it would do; nothing is written.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back what it did with the same values.")
    ] = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Run a task once, on one app host; the same asked for again follows what is under way."""
    from changeover.runner.tasks import by_hand  # noqa: PLC0415 - `--help` does without

    given, what = _values(values or []), _what(dry_run=dry_run, undo=undo)
    confirm.require(yes=yes or dry_run)
    desk = open_desk(env, app_name, json_lines=json)
    context = context_of(desk)
    found = by_hand.find(context, by_hand.Asked(task=name, values=given, what=what))
    desk.output.note(f"{name} of {found.order.colour}: {found.words}")
    if what == "command":
        desk.output.note(f"  {found.task.summary}; {_stays(found.task)}")
    question = f"{'undo' if undo else 'run'} {name} on {desk.environment.name}?"
    confirm.ask(yes=yes or dry_run, question=question)
    outcome = by_hand.run(context, found)
    desk.output.end(outcome.says)


def _what(*, dry_run: bool, undo: bool) -> What:
    """Return which command is meant.

    Raises:
        CommandUnclear: Both are.
    """
    if dry_run and undo:
        raise CommandUnclear(
            "--dry-run tells what the task would do, --undo takes back what it did: not both",
            hint="changeover task run --help",
        )
    if dry_run:
        return "dry_run"
    return "undo" if undo else "command"


def _values(sets: list[str]) -> dict[str, str]:
    """Return what was typed by name.

    Raises:
        SetUnclear: One has no name, or is there twice.
    """
    given: dict[str, str] = {}
    for each in sets:
        name, equals, value = each.partition("=")
        if not name or not equals or name in given:
            why = "is set twice" if name in given else "is no NAME=VALUE"
            raise SetUnclear(
                f"--set {each}: {name if name in given else 'it'} {why}",
                hint="changeover task run NAME --set step=payments --set to=2",
            )
        given[name] = value
    return given
