"""Have an app's own migrator run on a host: its output as it comes, and how it ended."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from changeover.outcome import Ran
from changeover.remote.fleet import Answers, Event, Fleet, action, call, on_each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from changeover.inventory import Host

What = Literal["command", "status", "undo"]
Purpose = Literal["live", "clone"]


def run(
    fleet: Fleet,
    host: Host,
    colour: str,
    values: Mapping[str, str],
    *,
    what: What = "command",
    purpose: Purpose = "live",
) -> Ran:
    """Run one command of a placed colour's migrator on a host, and wait for its end.

    Args:
        fleet: Whose host it is; its lease is held.
        host: The host.
        colour: The colour whose bundle declares the command.
        values: Its environment; secret.
        what: Which command.
        purpose: Whether it is at the live database, or at a clone of it.

    Raises:
        ChangeoverError: The host does not answer, or the command could not be started there.
    """
    telling = dataclasses.replace(fleet, report=_telling(fleet))
    replies = call(
        telling,
        host,
        [
            action("migrator_run", colour=colour, what=what, purpose=purpose, env=dict(values)),
            action("migrator_output", what=what, purpose=purpose),
        ],
    )
    result = replies["migrator_run"].result
    return Ran(
        host=host.name,
        exit=result["exit"],
        result=str(result["result"]),
        seconds=float(result["seconds"]),
        adopted=bool(result["adopted"]),
        output=str(replies["migrator_output"].result["output"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What earlier runs left on a host.

    Args:
        runs: Which migrator still runs there; ``None`` where none does.
        undone_by: The deployment whose undoing of the live database ended there last.
        undo_exit: Its exit code; ``None`` where it was ended.
    """

    runs: str | None
    undone_by: str | None
    undo_exit: int | None


def left(fleet: Fleet, host: Host) -> Left:
    """Ask a host what earlier runs left there.

    Raises:
        ChangeoverError: The host does not answer.
    """
    result = call(fleet, host, [action("migrator_left")])["migrator_left"].result
    undo = result["undo"] or {}
    return Left(
        runs=str(result["was"]) if result["runs"] else None,
        undone_by=undo.get("deployment"),
        undo_exit=undo.get("exit"),
    )


def end(fleet: Fleet, hosts: Sequence[Host]) -> Answers:
    """End what still runs of an app's migrator on these hosts."""
    return on_each(fleet, hosts, lambda _: [action("migrator_end")])


def _telling(fleet: Fleet) -> Callable[[Event], None]:
    """Return what tells the host's lines as output that stays to be read."""

    def report(event: Event) -> None:
        if event.get("type") == "host-progress":
            says = str(event["message"])
            event = {"type": "migrator-output", "host": event["host"], "says": says}
        fleet.report(event)

    return report
