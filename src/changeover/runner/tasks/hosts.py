"""The one app host that a task is run on: the one where the same runs already, else the first that answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from changeover.errors import LockHeld
from changeover.executors import task as tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.executors.task import Left, Order
    from changeover.inventory import Host
    from changeover.runner.run import Run


class TaskUnderWay(LockHeld):
    """Another task of the app runs on a host."""


def chosen(run: Run, order: Order, hosts: Sequence[Host]) -> tuple[Host, Order, dict[str, Left]]:
    """Return the host, the order as it is to be given there, and what every host said was left.

    Args:
        run: The run.
        order: What is asked for.
        hosts: The app hosts that may be asked.

    Raises:
        TaskUnderWay: Another one runs.
        ChangeoverError: No host answers.
    """
    said, answers = tasks.left(run.fleet, hosts)
    if not said:
        answers.check()
    for name, left in said.items():
        if begun := left.under_way(order):
            followed = replace(order, follows=begun)
            return run.environment.host(name), followed, said
    for name, left in said.items():
        if left.running is not None:
            raise _under_way(run, name, left)
    return next(host for host in hosts if host.name in said), order, said


def _under_way(run: Run, host: str, left: Left) -> TaskUnderWay:
    running = left.running or {}
    values = "".join(f" {name}={value}" for name, value in sorted(running["values"].items()))
    return TaskUnderWay(
        f"{running['task']}{values} is under way on {host}, begun by {running['by'] or 'nobody known'}"
        f" (deployment {running['deployment']})",
        hint=f"wait for its end: changeover report {running['deployment']} --env"
        f" {run.environment.name} tells of it; asked for in the same words, it is followed",
        host=host,
    )
