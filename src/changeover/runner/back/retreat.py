"""Send users back on every host that can be reached, and prove what they are sent to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from changeover import steps
from changeover.colour import version_of
from changeover.executors import lease, operate
from changeover.executors.smoke.together import Stop
from changeover.outcome import Outcome
from changeover.remote.failures import AgentFailed
from changeover.runner.deployment import proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.errors import ChangeoverError
    from changeover.inventory import Host
    from changeover.runner.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside(steps.PreviewSmoke):
    """Ask the live Nginx of each host, on the host itself: a balancer shows only one of them."""

    says: ClassVar[str] = "smoke it on each host, through its live Nginx"
    through: ClassVar[Literal["private", "live"]] = "live"


def send(run: Run, step: steps.Revert, hosts: Sequence[Host]) -> dict[str, ChangeoverError]:
    """Send hosts back, all at once; return why by host where one did not go.

    A host keeps what it went back to over a boot.

    Raises:
        LeaseTaken: A host is another run's by now, whatever the others did.
        ChangeoverError: None of them went.
    """
    failed: dict[str, ChangeoverError] = {}

    def act() -> Outcome:
        outcome, answers = operate.revert(run.fleet, hosts, step)
        for error in answers.errors.values():
            if refused := lease.taken(run.fleet, error):
                raise refused
        if not answers.replies:
            answers.check()
        failed.update(answers.errors)
        return outcome

    run.step(step, act, going_back=True)
    return failed


def proofs(run: Run) -> tuple[str, ...]:
    """Return the ids of the steps that prove what users were sent back to."""
    return ("inside", "smoke") if len(run.app_hosts) > 1 else ("smoke",)


def prove(run: Run, colour: str, hosts: Sequence[Host]) -> None:
    """Smoke a colour from outside; also on each host, where users come through a balancer.

    Raises:
        CheckRed: A check from outside is red.
        InsideRed: A check on a host is red.
    """
    version = version_of(colour)
    outside = steps.Smoke(id="smoke", version=version)
    if "inside" not in proofs(run):
        run.step(outside, lambda: proof.smoke(run, outside), going_back=True)
        return
    names = tuple(host.name for host in hosts)
    inside = Inside(id="inside", hosts=names, colour=colour, version=version)
    # Both ask what is there already, so neither waits for the other.
    stop = Stop()
    with proof.beside(lambda: proof.smoke(run, outside, stop), stop.give) as asked:
        run.step(inside, lambda: _inside(run, inside, hosts), going_back=True)
        run.step(outside, asked.result, going_back=True)


def _inside(run: Run, step: Inside, hosts: Sequence[Host]) -> Outcome:
    """Ask on each host; where an older agent cannot be asked so, what is seen from outside has to do."""
    try:
        return proof.preview(run, step, hosts)
    except AgentFailed as error:
        if not run.fleet.any_agent or error.error != "bad-parameter":
            raise
        says = f"warning: not asked on each host: the agent of {error.host} is of another version"
        run.note({"type": "warning", "says": says, "cause": error.message})
        return Outcome(says="not asked on each host", changed=False)


def but(hosts: Sequence[Host], names: Sequence[str] | dict[str, ChangeoverError]) -> list[Host]:
    """Return the hosts that are not named."""
    return [host for host in hosts if host.name not in names]


def listed(hosts: Sequence[Host]) -> str:
    """Return the names of hosts for a sentence."""
    return ", ".join(host.name for host in hosts)
