"""The verbs, and the one place where a failure becomes words and an exit code.

Only the verb that was typed is imported: the help of all of them costs no more than Typer itself.
"""

from __future__ import annotations

import importlib
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from changeover import __version__
from changeover.errors import ChangeoverError, Failed, Interrupted, InvalidInput

if TYPE_CHECKING:
    from types import FrameType


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb is defined: a function, or a Typer application of several."""

    name: str
    module: str
    attribute: str
    help: str
    panel: str


class Misused(InvalidInput):
    """The command line cannot be understood."""


MOVE, PROVE, SAFETY, PLATFORM, LAB = "Move", "Prove", "Safety", "Platform", "Lab"
VERBS = (
    Verb("plan", "deploy", "plan", "Show what a deployment would do, and the way back.", MOVE),
    Verb("deploy", "deploy", "deploy", "Take the environment to a version.", MOVE),
    Verb("resume", "recover", "resume", "Go on with an interrupted deployment.", MOVE),
    Verb("abort", "recover", "abort", "Take an interrupted deployment back.", MOVE),
    Verb("rollback", "rollback", "rollback", "Go back to what was live before.", MOVE),
    Verb("finalize", "rollback", "finalize", "End the bake window; contract and retire.", MOVE),
    Verb("catch-up", "catch_up", "catch_up", "Bring back hosts that were left out.", MOVE),
    Verb("preflight", "smoke", "preflight", "Hold the hosts against a version's needs.", PROVE),
    Verb("smoke", "smoke", "smoke", "Check the live version from outside.", PROVE),
    Verb("verify", "smoke", "verify", "Check the hosts with testinfra.", PROVE),
    Verb("drill", "drill", "drill", "Inject faults under load, and judge what users saw.", PROVE),
    Verb("status", "status", "status", "Show what is live, warm and locked.", PROVE),
    Verb("history", "status", "history", "List the deployments of this controller.", PROVE),
    Verb("report", "status", "report", "Tell one deployment, as text, JSON or a page.", PROVE),
    Verb("audit", "status", "audit", "Check that no journal was altered.", PROVE),
    Verb("backup", "backup", "app", "Create, prove, list and restore backups.", SAFETY),
    Verb("db", "db", "app", "Show, plan, lint, rehearse, adopt and run migrations.", SAFETY),
    Verb("task", "task", "app", "List and run work of the app itself.", SAFETY),
    Verb("lock", "lock", "app", "Show or take over the lock.", SAFETY),
    Verb("fence", "fence", "fence", "Keep users from one app host.", SAFETY),
    Verb("maintenance", "maintenance", "app", "Show users a page in place of the app.", SAFETY),
    Verb("env", "env", "app", "Show environment values, or what changes.", PLATFORM),
    Verb("provision", "provision", "provision", "Bring hosts to their platform state.", PLATFORM),
    Verb("drift", "provision", "drift", "Show what differs from the platform state.", PLATFORM),
    Verb("bundle", "bundle", "app", "Build and verify bundles.", PLATFORM),
    Verb("lab", "lab", "app", "Real Debian hosts on this machine.", LAB),
)


def application(typed: str | None) -> typer.Typer:
    """Return the command line with the typed verb loaded and the others as their help lines."""
    app = typer.Typer(
        name="changeover",
        help="Move an application from one version to the next on real hosts, prove it, "
        "and take it back.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    for verb in VERBS:
        if verb.name != typed:
            app.command(verb.name, help=verb.help, rich_help_panel=verb.panel)(_elsewhere)
            continue
        target = getattr(importlib.import_module(f"changeover.cli.{verb.module}"), verb.attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=verb.name, help=verb.help, rich_help_panel=verb.panel)
        else:
            app.command(verb.name, rich_help_panel=verb.panel)(target)
    return app


def _elsewhere() -> None:
    """Stand for a verb that was not typed."""


def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def run() -> None:
    """Run the command line and leave with the exit code of the contract."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    typed = words[0] if words else None
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup has a closed terminal ignored
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    json_lines = "--json" in sys.argv
    try:
        code = application(typed)(prog_name="changeover", standalone_mode=False)
        _finish()
    except ChangeoverError as error:
        _fail(error, json_lines=json_lines)
    except (typer.Abort, KeyboardInterrupt):
        _fail(_interrupted(), json_lines=json_lines)
    except typer.TyperException as error:
        _fail(_misused(error), json_lines=json_lines)
    except Exception as error:  # noqa: BLE001 - a bug is told like any failure, with its trace
        _fail(_bug(error), json_lines=json_lines)
    if code == Interrupted.exit_code:
        # Typer's answer to an interrupt
        _fail(_interrupted(), json_lines=json_lines)
    sys.exit(code)


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", hint="changeover status shows what is live")


def _misused(error: typer.TyperException) -> Misused:
    """Return what Typer says of the words that were typed as a failure like any other."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "changeover"
    said = getattr(error, "format_message", error.__str__)()
    if not said:
        # Typer printed the help in its place
        sys.exit(Misused.exit_code)
    return Misused(said[:1].lower() + said[1:].rstrip("."), hint=f"{path} --help")


def _finish() -> None:
    """End the output of a verb that opened one; help and version did not."""
    desk = sys.modules.get("changeover.cli.desk")
    if desk is not None:
        desk.finish()


def _fail(error: ChangeoverError, *, json_lines: bool) -> NoReturn:
    from changeover.cli.desk import output_of  # noqa: PLC0415 - only a failure needs it

    output_of(json_lines=json_lines).error(error)
    sys.exit(error.exit_code)


def _bug(error: Exception) -> Failed:
    import traceback  # noqa: PLC0415 - only a bug needs it

    return Failed(
        f"unexpected {type(error).__name__}: {error}",
        hint="changeover status shows what is live; please report this with the lines above",
        cause="".join(traceback.format_exception(error)[-3:]).strip(),
    )
