"""A canary's share: send it, hold the new colour to its gates beside the old one, grow or give up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.errors import CheckRed
from changeover.executors import canary, operate
from changeover.outcome import Outcome
from changeover.policy import gates
from changeover.policy.canary import EVERYBODY
from changeover.policy.gates import Figures
from changeover.remote.failures import SessionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.remote.fleet import Answers
    from changeover.runner.run import Run
    from changeover.steps import Canary

POLL_SECONDS = 5.0


class CanaryRed(CheckRed):
    """The new colour does worse for its share of the clients than it may."""


class CanaryIdle(CheckRed):
    """Too few clients came to tell how the new colour does: no traffic is not a pass."""


def share(
    run: Run,
    step: Canary,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Send a share of the clients to the new colour, and look at both until it is green or red.

    Args:
        run: The run.
        step: The share.
        now: Tells the time in seconds.
        pause: Lets seconds pass.

    Raises:
        CanaryRed, CanaryIdle: A gate is red; both colours' figures are in the message.
        ChangeoverError: A host does not do as it is told.
    """
    if _passed(run, step):
        return Outcome(says=f"a larger share is on {step.colour} still", changed=False)
    results = canary.begin(run.fleet, run.app_hosts, step).each("canary")
    if any(result["live"] for result in results.values()):
        canary.end(run.fleet, run.app_hosts).check()
        return Outcome(says=f"users are on {step.colour} already", changed=False)
    places = {host: dict(result["place"]) for host, result in results.items()}
    watching = _Watching(run, step, places, now)
    while True:
        left = step.seconds - watching.elapsed
        pause(min(POLL_SECONDS, left) if left > 0 else POLL_SECONDS)
        watching.look()
        if watching.over():
            return Outcome(says=watching.words, figures=watching.figures)


def _passed(run: Run, step: Canary) -> bool:
    """Tell whether every host holds a larger share that an earlier run of this deployment began.

    It was begun once this one had passed: whoever goes on in time sends no client back and forth.
    """
    if not any(run.fleet.seen.get(host.name, {}).get("canary") for host in run.app_hosts):
        return False
    states = operate.states(run.fleet, run.app_hosts).each("state")
    held = [state.get("canary") or {} for state in states.values()]
    mine = (run.fleet.deployment, step.colour)
    return all(
        (each.get("deployment"), each.get("colour")) == mine and each["percent"] > step.percent
        for each in held
    )


@dataclass(slots=True)
class _Watching:
    """One share as it is looked at.

    Args:
        run: The run.
        step: The share.
        places: How far each host's log was read.
        now: Tells the time in seconds.
    """

    run: Run
    step: Canary
    places: dict[str, dict[str, Any]]
    now: Callable[[], float]
    began: float = 0.0
    new: Figures = field(default_factory=Figures)
    old: Figures = field(default_factory=Figures)
    answered: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = self.now()
        self.answered = dict.fromkeys(self.places, self.began)

    @property
    def elapsed(self) -> float:
        return self.now() - self.began

    @property
    def words(self) -> str:
        return f"{self.step.percent}% of the clients: new colour {self.new.words}; old colour {self.old.words}"

    @property
    def figures(self) -> dict[str, Any]:
        return {
            "percent": self.step.percent,
            "new": self.new.as_json(),
            "old": self.old.as_json(),
        }

    def look(self) -> None:
        """Renew the share and count on; a host may miss a look, but not until its share has ended.

        Raises:
            ChangeoverError: A host's share is over, or may be.
        """
        answers = canary.look(self.run.fleet, self.run.app_hosts, self.step, self.places)
        self._bear(answers)
        for host, replies in answers.replies.items():
            result = replies["canary_look"].result
            self.new.add(result["new"])
            self.old.add(result["old"])
            self.places[host] = dict(result["place"])
            self.answered[host] = self.now()
        says = {"says": self.words, "seconds": round(self.elapsed, 1)}
        self.run.report({"type": "canary", "step": self.step.id, **says, **self.figures})

    def _bear(self, answers: Answers) -> None:
        for host, error in answers.errors.items():
            silent = self.now() - self.answered[host]
            if not isinstance(error, SessionLost) or silent >= canary.RENEWED_SECONDS:
                answers.check()

    def over(self) -> bool:
        """Tell whether the share has passed its gates.

        Raises:
            CanaryRed, CanaryIdle: It has not, and will not.
        """
        step, last = self.step, self.elapsed >= self.step.seconds
        hint = f"changeover report {self.run.fleet.deployment} --env {self.run.environment.name}"
        if why := gates.red(step.gates, self.new, self.old, last=last):
            raise CanaryRed(f"{step.id}: {why} ({self.words})", hint=hint)
        few = gates.lacking(step.gates, self.new, self.old, alone=step.percent == EVERYBODY)
        if few and self.elapsed >= max(step.deadline_seconds, step.seconds):
            raise CanaryIdle(
                f"{step.id}: nobody can tell how {step.colour} does after {self.elapsed:.0f} s: {few}"
                f" ({self.words})",
                hint=hint,
            )
        return last and not few
