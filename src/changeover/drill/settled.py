"""Whether an environment is at rest, and whether a drill left it as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.errors import CheckRed
from changeover.runner.fleet import survey

if TYPE_CHECKING:
    from changeover.inventory import Environment
    from changeover.runner.fleet.host_state import HostState


class NotSettled(CheckRed):
    """The hosts are not at rest on one release: nothing was injected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """An environment at rest.

    Args:
        live: The release that every app host serves.
        running: The releases whose processes run, by host.
    """

    live: str
    running: dict[str, tuple[str, ...]]


def require(environment: Environment, app: str) -> Rest:
    """Return what the environment rests on.

    Raises:
        NotSettled: The hosts disagree, something is under way, or nothing is live.
    """
    apps = _apps(environment, app)
    problems = _unrest(apps)
    if not problems and not apps[0].live:
        problems = ["nothing is live"]
    if problems:
        raise NotSettled(
            f"{environment.name} is not at rest: {'; '.join(problems)}",
            hint=f"changeover status --env {environment.name} shows it; deploy, resume or abort first",
        )
    return Rest(live=str(apps[0].live), running={each.host: each.running for each in apps})


def live(environment: Environment, app: str) -> dict[str, str | None]:
    """Return what each app host serves."""
    return {each.host: each.live for each in _apps(environment, app)}


def differences(environment: Environment, app: str, before: Rest | None) -> list[str]:
    """Return a sentence for everything that is not at rest, or not as it was."""
    apps = _apps(environment, app)
    found = _unrest(apps)
    for each in apps if before else ():
        if before and each.live != before.live:
            found.append(f"{each.host} serves {each.live}, not {before.live}")
        if before and each.live not in each.running:
            found.append(f"{each.host} does not run {each.live}, which it serves")
        # What was warm before may be given up, as by any deployment; nothing is left behind.
        left = sorted({*each.running} - {*before.running.get(each.host, ())}) if before else []
        if left:
            found.append(f"{each.host} still runs {', '.join(left)}")
    return found


def _unrest(apps: list[HostState]) -> list[str]:
    found = []
    if len({each.live for each in apps}) > 1:
        found.append("hosts serve " + ", ".join(f"{each.host} {each.live}" for each in apps))
    for each in apps:
        if each.live != each.confirmed:
            found.append(f"{each.host} serves {each.live} and boots {each.confirmed}")
        if each.pending:
            found.append(f"{each.host} has a {each.pending.get('kind')} under way")
        if each.lock and _held(each):
            found.append(f"{each.host} is locked by {each.lock.get('owner')}")
    return found


def _held(state: HostState) -> bool:
    return bool(state.lock and not state.lock.get("expired"))


def _apps(environment: Environment, app: str) -> list[HostState]:
    _, seen = survey.status(environment, app, lambda _: None)
    if seen.failure is not None:
        raise seen.failure
    return list(seen.apps)
