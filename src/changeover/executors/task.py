"""Have a task of an app run on a host: its progress as it comes, its answer, and how it ended."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from changeover.outcome import Ran
from changeover.remote.fleet import Answers, Event, Fleet, action, call, on_each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from changeover.inventory import Host

What = Literal["command", "dry_run", "undo"]
# Of an answer that is longer nothing is kept but what it printed.
LONGEST_ANSWER = 16_000
# What EX_TEMPFAIL says of a program: what it has done stands, and it can be gone on with.
HALF_WAY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A task's command with its values.

    Args:
        colour: The colour whose bundle declares it.
        task: The task.
        what: Which of its commands.
        values: What it is given.
        follows: The deployment that began the same, where its end is to be taken.
    """

    colour: str
    task: str
    what: What
    values: Mapping[str, str] = field(default_factory=dict)
    follows: str = ""


def run(fleet: Fleet, host: Host, order: Order) -> Ran:
    """Run one command of a task on a host, or follow the same that runs there, to its end.

    Raises:
        ChangeoverError: The host does not answer, it could not be started, or another one runs there.
    """
    telling = dataclasses.replace(fleet, report=_telling(fleet, order.task))
    asked = action(
        "task_run",
        colour=order.colour,
        task=order.task,
        what=order.what,
        values=dict(order.values),
        by=fleet.owner,
        follows=order.follows,
    )
    replies = call(telling, host, [asked, action("task_output", task=order.task, what=order.what)])
    result = replies["task_run"].result
    return Ran(
        host=host.name,
        exit=result["exit"],
        result=str(result["result"]),
        seconds=float(result["seconds"]),
        adopted=bool(result["adopted"]),
        output=str(replies["task_output"].result["output"]),
    )


def answer(ran: Ran) -> dict[str, Any] | None:
    """Return the JSON object that a task printed last; ``None`` where its last line is none."""
    lines = ran.output.rstrip().splitlines()
    if not lines or len(lines[-1]) > LONGEST_ANSWER:
        return None
    return _object(lines[-1])


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What earlier runs of tasks left on a host.

    Args:
        host: The host.
        running: The run whose unit is there still; ``None`` where there is none.
        ended: How the latest run of each command ended.
    """

    host: str
    running: Event | None
    ended: Sequence[Event]

    def under_way(self, order: Order) -> str:
        """Return which deployment began the same, where its unit is there; empty where none is."""
        same = self.running is not None and _same(self.running, order)
        return str(self.running["deployment"]) if self.running and same else ""

    def ended_well(self, order: Order, deployment: str) -> bool:
        """Tell whether the same of a deployment ended here with 0."""
        return any(
            _same(each, order) and each["exit"] == 0 and each["deployment"] == deployment
            for each in self.ended
        )


def _same(event: Event, order: Order) -> bool:
    mine = (order.colour, order.task, order.what, dict(order.values))
    return mine == (event["colour"], event["task"], event["what"], event["values"])


def left(fleet: Fleet, hosts: Sequence[Host]) -> tuple[dict[str, Left], Answers]:
    """Ask hosts what earlier runs left there; give what they said, and all their answers."""
    answers = on_each(fleet, hosts, lambda _: [action("task_left")])
    said = {
        host: Left(
            host=host,
            running=each["task_left"].result["running"],
            ended=each["task_left"].result["ended"],
        )
        for host, each in answers.replies.items()
    }
    return said, answers


def end(fleet: Fleet, hosts: Sequence[Host]) -> Answers:
    """End what still runs of an app's tasks on these hosts."""
    return on_each(fleet, hosts, lambda _: [action("task_end")])


def _telling(fleet: Fleet, task: str) -> Callable[[Event], None]:
    """Return what tells the host's lines as progress of the task, or as output that stays to be read."""

    def report(event: Event) -> None:
        if event.get("type") == "host-progress":
            says = str(event["message"])
            printed = _object(says.removeprefix("| ")) if says.startswith("| ") else None
            about = {"host": event["host"], "task": task, "says": says}
            if printed is not None and _counts(printed):
                done, total = printed["done"], printed.get("total")
                words = f"{task}: {done} of {total}" if total is not None else f"{task}: {done}"
                about |= {"done": done, "total": total, "says": words}
                event = {"type": "task-progress", **about}
            else:
                event = {"type": "task-output", **about}
        fleet.report(event)

    return report


def _counts(printed: Mapping[str, Any]) -> bool:
    return (
        {*printed} <= {"done", "total"}
        and all(
            isinstance(value, int) and not isinstance(value, bool) for value in printed.values()
        )
        and "done" in printed
    )
