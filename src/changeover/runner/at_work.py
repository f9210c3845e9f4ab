"""What a run that was overtaken still does on hosts: ended where it may be cut, awaited where not, told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors import operate
from changeover.runner.host_state import work_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from changeover.inventory import Host
    from changeover.runner.host_state import HostState
    from changeover.runner.run import Run


def end(run: Run, hosts: Iterable[Host], states: Iterable[HostState]) -> None:
    """End it on those of the hosts that said that something is at work; tell what came of it.

    A host that does not do so is no reason to fail: its lease is another's, so nothing new is begun.

    Args:
        run: The run that took the lease over.
        hosts: The hosts that hold its lease.
        states: What they said before.
    """
    busy = {state.host for state in states if state.at_work}
    asked = [host for host in hosts if host.name in busy]
    if not asked:
        return
    answers = operate.end(run.fleet, asked)
    for host, replies in answers.replies.items():
        for what, each in replies["end"].result.items():
            for one in each:
                run.note(
                    {"type": "note", "says": f"{host}: {what}: {work_words(one)}", "host": host}
                )
    for host, error in answers.errors.items():
        says = f"warning: {host}: what is at work there was not ended: {error.message}"
        run.note({"type": "warning", "says": says})
