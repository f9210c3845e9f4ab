"""What a verb works with: the environment, the app, its releases, and where its words go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from changeover.cli.next_command import naming
from changeover.cli.output import Output
from changeover.errors import InvalidInput
from changeover.policy import absence
from changeover.secret import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from changeover.inventory import Environment
    from changeover.policy.absence import Policy
    from changeover.release import App, Release
    from changeover.remote.line import Line
    from changeover.runner.context import Context

_OUTPUT = Output(redactor=Redactor())


class PolicyUnknown(InvalidInput):
    """What was typed is no policy for hosts that cannot be reached."""


class AppUnclear(InvalidInput):
    """The environment has several apps, or not the one that was named."""


def output_of(*, json_lines: bool) -> Output:
    """Return the process's one output; it knows every secret that this process has read."""
    _OUTPUT.json_lines = json_lines
    return _OUTPUT


def hush() -> None:
    """Take the live view away before a question; what happens next draws it anew."""
    _OUTPUT.close()


def finish() -> None:
    """End what a verb printed that went well."""
    _OUTPUT.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """An environment, one of its apps, and the output of the verb."""

    root: Path
    environment: Environment
    app: str
    output: Output

    def name_app(self) -> None:
        """Have commands that are named next name this app, where the environment has several."""
        if len(self.environment.apps) > 1:
            self.output.complete = naming(self.environment.name, self.app)


def _policy(text: str) -> Policy:
    try:
        return absence.policy(text)
    except ValueError as error:
        raise PolicyUnknown(
            f"--unreachable: {error}", hint=f"--unreachable is {absence.KNOWN}"
        ) from None


def open_desk(env: str, app: str | None, *, json_lines: bool, about_hosts: bool = False) -> Desk:
    """Read the environment and choose the app.

    Args:
        env: Its name or its directory.
        app: The app that was named.
        json_lines: Whether the verb prints JSON.
        about_hosts: Whether the verb is about hosts, with whatever apps they have: none has to be named.

    Raises:
        InvalidInput: The environment cannot be read, or the app is unclear.
    """
    from changeover import inventory  # noqa: PLC0415 - `--help` does without

    root = inventory.project_root()
    environment = inventory.load(env, root=root)
    output = output_of(json_lines=json_lines)
    for secret in environment.all_secrets():
        output.redactor.add(secret)
    named = environment.apps[0] if about_hosts and app is None else app
    desk = Desk(root=root, environment=environment, app=choose(environment, named), output=output)
    desk.name_app()
    return desk


def open_desks(env: str, app: str | None, *, json_lines: bool) -> Iterator[Desk]:
    """Give the desk of the app that was named, else of every app, one after the other.

    Where there are several, what is told of one begins with its name.

    Raises:
        InvalidInput: The environment cannot be read, or has no such app.
    """
    opened = open_desk(env, app, json_lines=json_lines, about_hosts=True)
    apps = opened.environment.apps
    if app is not None or len(apps) == 1:
        yield opened
        return
    for each in apps:
        desk = replace(opened, app=each)
        desk.name_app()
        desk.output.data({"type": "app", "app": each}, f"{each}:")
        yield desk


def choose(environment: Environment, app: str | None) -> str:
    """Return the named app, or the only one of the environment.

    Raises:
        AppUnclear: It is not in the environment, or none was named where there are several.
    """
    known = ", ".join(environment.apps)
    if app is None and len(environment.apps) == 1:
        return environment.apps[0]
    if app is None or app not in environment.apps:
        said = f"has no app {app}" if app else "has several apps"
        raise AppUnclear(
            f"environment {environment.name} {said}: {known}", hint="name one with --app NAME"
        )
    return app


def releases_of(desk: Desk, *versions: str | None) -> tuple[Mapping[str, Release], list[str]]:
    """Return the releases of the desk's app, and the versions meant: the newest for ``None``.

    Raises:
        InvalidInput: There is no such release.
    """
    from changeover import release  # noqa: PLC0415 - `--help` does without

    releases = release.load_releases(desk.root, desk.app)
    meant = [version or list(releases)[-1] for version in versions]
    for version in meant:
        release.path(desk.app, releases, None, version)
    return releases, meant


def declared(desk: Desk, version: str) -> tuple[App, Release]:
    """Return what the desk's app declares of itself, and one of its releases.

    Raises:
        InvalidInput: There is no such release, or one of the two has mistakes.
    """
    from changeover import release  # noqa: PLC0415 - `--help` does without

    found = release.load_release(desk.root, desk.app, version)
    return release.load_app(desk.root, desk.app), found


def reaching(desk: Desk) -> dict[str, Line]:
    """Return the connections to the app's hosts, opened while what acts on them is loaded."""
    from changeover.remote.line import reach  # noqa: PLC0415 - `--help` does without

    return reach(desk.environment, desk.environment.lease_hosts)


def context_of(
    desk: Desk, unreachable: str | None = None, *, lines: dict[str, Line] | None = None
) -> Context:
    """Return what the runner needs of a desk.

    Args:
        desk: The desk.
        unreachable: What was typed to do about app hosts that cannot be reached.
        lines: The connections that are there already, or being opened.

    Raises:
        PolicyUnknown: There is no such policy.
    """
    from changeover.runner.context import Context  # noqa: PLC0415 - `--help` does without

    return Context(
        unreachable=None if unreachable is None else _policy(unreachable),
        root=desk.root,
        environment=desk.environment,
        app=desk.app,
        redactor=desk.output.redactor,
        report=desk.output.event,
        lines={} if lines is None else lines,
    )
