"""drill: inject faults into an environment that is there for it, and judge what users saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import options
from changeover.cli.confirm import ask
from changeover.cli.desk import open_desk, output_of
from changeover.errors import CheckRed, InvalidInput

if TYPE_CHECKING:
    from changeover.cli.output import Output
    from changeover.drill.trial import Trial


class DrillRed(CheckRed):
    """A fault cost more than its own, or was not taken back."""


class VersionMissing(InvalidInput):
    """No version was named."""


def drill(
    version: Annotated[
        str | None, typer.Argument(help="The version to deploy in each trial.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Only this fault; may be repeated.")
    ] = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="Show the faults; inject none.")] = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Inject faults into deployments of a version under load, and judge what users saw."""
    from changeover import release  # noqa: PLC0415 - `--help` does without
    from changeover.drill import declaration, faults, trial  # noqa: PLC0415

    wanted = faults.chosen(fault or ())
    if list_:
        output = output_of(json_lines=json)
        for each in wanted:
            output.data(
                {"type": "fault", "name": each.name, "step": each.step, "by": each.who}
                | {"says": each.says},
                f"{each.name:<29} {each.step:<8} {each.who:<14} {each.says}",
            )
        return
    desk = open_desk(env, app, json_lines=json)
    declared = declaration.declared(desk.environment, desk.app)
    if version is None:
        raise VersionMissing(
            "a drill deploys a version, and none was named",
            hint=f"changeover drill VERSION --env {desk.environment.name}, or changeover drill --list",
        )
    release.load_release(desk.root, desk.app, version)
    names = ", ".join(each.name for each in wanted)
    ask(yes=yes, question=f"inject into {desk.environment.name}: {names}?")
    setting = trial.Setting(
        root=desk.root,
        environment=desk.environment,
        env=env,
        app=release.load_app(desk.root, desk.app),
        version=version,
        declared=declared,
    )
    red = [
        each.fault.name
        for each in trial.trials(setting, wanted, desk.output.event)
        if _told(desk.output, each)
    ]
    if red:
        raise DrillRed(
            f"red: {', '.join(red)}",
            hint=f"read what is red above, then changeover status --env {desk.environment.name}",
        )


def _told(output: Output, trial: Trial) -> bool:
    """Print what came of one fault; tell whether it is red."""
    found = trial.judgement
    lines = [f"{'red' if trial.red else 'ok ':<4}{trial.fault.name} ({trial.seconds:.0f} s)"]
    lines += [f"      exit {code:>3}  {typed}: {said}" for typed, code, said in trial.typed]
    if found:
        excused = "".join(f", {count} while {cause}" for cause, count in found.excused.items())
        rows = "" if found.rows is None else f", {found.rows} found in the database"
        lines.append(
            f"      sent {found.requests}, acknowledged {found.acknowledged}{rows},"
            f" WebSockets {found.sockets}{excused}"
        )
    lines += [f"      red: {why}" for why in trial.red]
    output.data(trial.as_json(), "\n".join(lines))
    return bool(trial.red)
