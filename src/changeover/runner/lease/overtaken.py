"""Take a lease from whoever holds it, and end what that run still does on hosts and in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.counts import counted
from changeover.errors import ChangeoverError
from changeover.executors import lease, migrate, operate
from changeover.outcome import Outcome
from changeover.runner import database
from changeover.runner.fleet import survey
from changeover.runner.fleet.host_state import work_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.inventory import Host
    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run


def steal(context: Context, reason: str) -> str | None:
    """Take the lock from whoever holds it, journal whose it was, give it back; return the holder."""
    run = context.run()
    run.fleet.any_agent = True
    states = survey.host_states(run.fleet, run.lease_hosts)
    holder = next((str(state.lock["owner"]) for state in states.values() if state.lock), None)
    run.begin("lock steal", holder, None, reason=reason)
    lock = steps.Lock(id="lock", hosts=tuple(states), reason=reason, seconds=60)
    run.step(lock, lambda: take(run, lock, run.lease_hosts))
    end(run, run.lease_hosts, states.values())
    lease.unlock(run.fleet, run.lease_hosts).check()
    run.end("done", 0, f"taken from {holder or 'nobody'}: {reason}")
    return holder


def take(run: Run, step: steps.Lock, hosts: Sequence[Host]) -> Outcome:
    """Take the lease on these hosts, and have the ledger refuse who held it from its next statement on."""
    lease.lock(run.fleet, hosts, step.reason, step.seconds, steal=True)
    number = database.fence(run)
    if number is not None:
        try:
            with database.owner_database(run.environment, run.app) as owned:
                migrate.supersede(owned, number)
        except ChangeoverError as error:
            says = f"warning: what was overtaken may go on in the database: {error.message}"
            run.note({"type": "warning", "says": says, "cause": error.cause})
    return Outcome(says=f"taken on {counted(len(hosts), 'host')}")


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
