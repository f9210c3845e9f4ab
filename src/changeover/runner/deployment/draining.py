"""Tell what became of the WebSockets of a colour that was stopped, and warn of those that were cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover import drained
from changeover.counts import counted
from changeover.drained import Drained
from changeover.executors import operate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from changeover.inventory import Host
    from changeover.outcome import Outcome
    from changeover.remote.fleet import Answers
    from changeover.runner.run import Run
    from changeover.steps import Drain


def drain(run: Run, hosts: Sequence[Host], step: Drain) -> Outcome:
    """Drain the old colour on each of the hosts."""
    outcome, ended = operate.drain(run.fleet, hosts, step)
    _tell(run, step.colour, ended)
    return outcome


def stop(
    run: Run, hosts: Sequence[Host], colour: str, seconds: int, *, shut: bool = False
) -> Answers:
    """Stop a colour that users have left, or are kept from; its connections are drained first."""
    answers = operate.stop(run.fleet, hosts, colour, seconds, shut=shut)
    tell(run, colour, (replies["stop"].result for replies in answers.replies.values()))
    return answers


def tell(run: Run, colour: str, stopped: Iterable[Mapping[str, Any]]) -> None:
    """Journal and say what hosts answered who stopped a colour, where it had WebSockets."""
    ended = Drained.of(result.get("websockets") or {} for result in stopped)
    _tell(run, colour, ended, says=f"{colour} drained, {ended.words}")


def _tell(run: Run, colour: str, ended: Drained, **said: str) -> None:
    if ended.open:
        run.note({"type": drained.TYPE, "colour": colour, **ended.as_json(), **said})
    if ended.cut:
        lost = f"{counted(ended.cut, 'WebSocket')} of {colour} ended without a close frame"
        says = f"warning: {lost}: look at drain_seconds, and at what it logged while it drained"
        run.note({"type": "warning", "says": says})
