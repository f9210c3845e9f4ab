"""One command of a task, run and told: what it answered, how it ended, and where its output is kept."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from changeover.errors import Failed
from changeover.executors import task as tasks
from changeover.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.task import Order
    from changeover.inventory import Host
    from changeover.outcome import Ran
    from changeover.runner.run import Run

SHOWN_CHARACTERS = 300


class TaskFailed(Failed):
    """A task of the app failed."""


class TaskHalfDone(Failed):
    """A task of the app stopped half way; it can be gone on with."""


def work(run: Run, host: Host, order: Order) -> Ran:
    """Run a command of a task, keep what it printed beside the journal, and journal how it ended."""
    ran = tasks.run(run.fleet, host, order)
    kept = run.journal.beside(f"task-{order.task}-{order.what}.log", ran.output)
    run.note(
        {
            "type": "task-ended",
            "task": order.task,
            "what": order.what,
            "values": dict(order.values),
            "host": host.name,
            "exit": ran.exit,
            "result": ran.result,
            "seconds": ran.seconds,
            "adopted": ran.adopted,
            "answer": tasks.answer(ran),
            "kept": str(kept),
        }
    )
    return ran


def _begun(ran: Ran) -> str:
    return " (begun by an earlier run)" if ran.adopted else ""


def said(order: Order) -> str:
    """Return what is run, for a person."""
    words = {"command": "", "dry_run": "dry run of ", "undo": "undo of "}[order.what]
    return f"{words}{' '.join([order.task, *_pairs(order.values)])}"


def _pairs(values: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(value)}" for name, value in values.items()]


def outcome(order: Order, ran: Ran) -> Outcome:
    """Return what a step says of a command that ended well."""
    answered = tasks.answer(ran)
    told = f": {_shown(answered)}" if answered is not None else ""
    return Outcome(
        says=f"{said(order)} on {ran.host} {ran.ending}{_begun(ran)}{told}",
        changed=order.what != "dry_run",
        figures={"seconds": ran.seconds, **({"answer": answered} if answered is not None else {})},
    )


def _shown(answered: Mapping[str, Any]) -> str:
    text = json.dumps(answered, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def failure(order: Order, ran: Ran, *, again: str) -> Failed:
    """Return what a person is told of a command that did not end well.

    Args:
        order: What was run.
        ran: How it went.
        again: The command that runs it again.
    """
    if ran.exit == tasks.HALF_WAY:
        return TaskHalfDone(
            f"{said(order)} stopped half way, after {ran.seconds:.1f} s: what it has done stands",
            hint=f"{again} goes on with it",
            host=ran.host,
            cause=ran.tail or None,
        )
    return TaskFailed(
        f"{said(order)} {ran.ending}",
        hint=f"see why, correct it, then {again}",
        host=ran.host,
        cause=ran.tail or None,
    )
