"""Which canary a deployment gets: what the release, the environment and the command say of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from changeover import duration, steps
from changeover.errors import InvalidInput
from changeover.inventory import canary as said_of_canaries
from changeover.plan import behind_page
from changeover.policy import canary
from changeover.release.canary import CanaryDeclaration
from changeover.runner.fleet import survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from changeover.inventory import Environment
    from changeover.plan.order import Plan
    from changeover.plan.situation import Situation, Target
    from changeover.policy.canary import Canary
    from changeover.release import Release
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run

OFF = "off"


class CanaryUnusable(InvalidInput):
    """The canary that is asked for cannot be had."""


def check(option: str | None) -> None:
    """Refuse shares that cannot be used, before anything is asked of a host.

    Raises:
        CanaryUnusable: With what is wrong of them.
    """
    if option not in {None, OFF}:
        _shares(str(option))


def _shares(option: str) -> tuple[int, ...]:
    try:
        return canary.written(option)
    except ValueError as error:
        raise CanaryUnusable(
            f"--canary {option}: {error}", hint="--canary 5,25,50, or --canary off for none"
        ) from None


def declared(environment: Environment, release: Release, option: str | None) -> Canary | None:
    """Return the canary of a release; the command goes before the environment, and that before the release.

    Raises:
        CanaryUnusable, VariableInvalid: What is said of it cannot be used.
    """
    own = said_of_canaries.said(environment)
    if option == OFF or (option is None and own is False):
        return None
    said: dict[str, Any] = {}
    if release.canary is not None:
        said |= release.canary.model_dump(exclude_unset=True)
    said |= own or {}
    if option is not None:
        said["shares"] = _shares(option)
    if "shares" not in said:
        return None
    try:
        return CanaryDeclaration(**_tupled(said)).canary
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise said_of_canaries.invalid(environment, f"{where}: {first['msg']}") from None


def _tupled(said: dict[str, Any]) -> dict[str, Any]:
    shares = said["shares"]
    return {**said, "shares": tuple(shares) if isinstance(shares, list) else shares}


def agreed(
    run: Run,
    situation: Situation,
    target: Target,
    option: str | None,
    states: Mapping[str, HostState] | None,
    *,
    ahead: bool,
) -> tuple[Situation, Target]:
    """Give a deployment its canary, or say why it has none.

    Args:
        run: The run; its release is set.
        situation: What was found.
        target: Where the deployment goes.
        option: What the command says.
        states: What the hosts have said, where they were asked.
        ahead: Whether another stage comes before: its site will be live by then.

    Raises:
        CanaryUnusable: One is wanted and cannot be had.
    """
    release = run.release
    found = declared(run.environment, release, option) if release else None
    target = replace(target, canary_option=option)
    if found is None or release is None or situation.live == target.colour:
        return situation, target
    if behind_page.closed(situation):
        why = f"{release.version} does not run beside {situation.live_version}, behind a page of maintenance"
        return _without(situation, why, option), target
    if situation.live is None:
        why = "nothing is live that a share could be taken from"
        return _without(situation, why, option), target
    if not ahead:
        _refuse_unshared(run, states)
    warned = situation.warnings
    if situation.changes_site:
        before = "the Nginx site changes: until the switch the canary's clients have the old one"
        warned = (*warned, before)
    return replace(situation, warnings=warned), replace(target, canary=found)


def _without(situation: Situation, why: str, option: str | None) -> Situation:
    if option is not None:
        raise CanaryUnusable(f"there is no canary to be had: {why}", hint="deploy without --canary")
    return replace(situation, warnings=(*situation.warnings, f"no canary: {why}"))


def _refuse_unshared(run: Run, said: Mapping[str, HostState] | None) -> None:
    states = said or survey.host_states(run.fleet, run.app_hosts)
    names = {host.name for host in run.app_hosts}
    lacking = [name for name in states if name in names and not states[name].shares]
    if lacking:
        raise CanaryUnusable(
            f"{', '.join(lacking)}: the live site cannot send a share of the clients elsewhere: "
            "it was deployed before there were canaries, or Nginx has not read it",
            hint="add --canary off once: the site of what is deployed then can do it",
            host=", ".join(lacking),
        )


def lines(plan: Plan) -> Iterator[str]:
    """Give the lines that tell a plan's canary."""
    shares = [step for step in plan.steps if isinstance(step, steps.Canary)]
    if not shares:
        return
    first = shares[0]
    percents = ", then ".join(f"{step.percent}%" for step in shares)
    yield f"canary: {percents} of the clients, each for {duration.words(first.seconds)}"
    yield f"  gates: {first.gates.words}"
    yield f"  a share waits {duration.words(first.deadline_seconds)} at most for these answers, and is red without them"
    yield "  red: every client back to the old colour at once, exit 3"
