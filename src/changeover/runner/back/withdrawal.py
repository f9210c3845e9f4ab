"""Take away what a deployment put on hosts, where it is taken back: whole or not, it is of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.errors import ChangeoverError
from changeover.executors import backup as backups
from changeover.executors import lease, operate
from changeover.executors.backup import rehearsal as clones
from changeover.plan.order import LEASE_SECONDS
from changeover.remote.failures import AgentFailed, SessionLost
from changeover.runner import database, endings
from changeover.runner.lease import holder
from changeover.runner.own import back as own_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.runner.run import Run


def withdraw(
    run: Run, hosts: Sequence[Host], deployment: str | None, *, goal: str | None, left: str
) -> list[str]:
    """Take away the colours, uploads and unproved backup of a deployment; what cannot go is told.

    Args:
        run: The run that takes it back, and holds the lease.
        hosts: The app hosts that are back.
        deployment: The deployment, where a host knows which it was.
        goal: The colour that is gone back to.
        left: The version that is left.

    Returns:
        The hosts where some of it stays.

    Raises:
        LeaseTaken: A host is another run's by now.
    """
    # The undo of what its own migrator did is in its code.
    needed = own_back.stands(run, version_of(goal) if goal else None, left)
    stays = _colours(run, hosts, None if needed else deployment)
    if deployment is not None:
        stays += backup(run, deployment)
    return list(dict.fromkeys(stays))


def overtaken(run: Run) -> None:
    """Take away what the backups left of runs that are over, and whose leases nobody gave back.

    Raises:
        LeaseTaken: The database's host is another run's by now.
    """
    locks = run.fleet.overtaken.values()
    runs = {holder.interrupted(lock) for lock in locks if holder.backs_up(lock)}
    for each in sorted(filter(None, runs - {run.fleet.deployment})):
        backup(run, each)


def halves(run: Run, error: ChangeoverError) -> list[str]:
    """Take away what an agent left half made that did not tell how it ended.

    One that tells it has cleared up itself, and what it found wrong is to be seen. A colour that is whole
    stays, inert: the next deployment of it sends nothing.

    Args:
        run: The run that goes back before its switch; hosts whose lease it has not are left alone.
        error: What is red.

    Returns:
        The hosts where some of it stays.

    Raises:
        LeaseTaken: A host is another run's by now.
    """
    if not isinstance(error, SessionLost):
        return []
    held = [host for host in run.app_hosts if host.name in run.fleet.fences]
    left = _colours(run, held, None) + backup(run, run.fleet.deployment)
    return list(dict.fromkeys(left))


def let_go(run: Run, left: Sequence[str]) -> list[str]:
    """Give the lease back; where something of this run stays, let it end in a second: that tells of it.

    Args:
        run: The run, at its end.
        left: The hosts where something stays.

    Returns:
        The hosts that somebody has to go on with.
    """
    if not left:
        kept = lease.unlock(run.fleet, run.lease_hosts).errors
        for host, error in kept.items():
            says = f"warning: the lease on {host} ends by itself within {LEASE_SECONDS} s: {error.message}"
            run.note({"type": "warning", "says": says})
        return list(kept)
    endings.let_expire(run)
    return list(left)


def _colours(run: Run, hosts: Sequence[Host], deployment: str | None) -> list[str]:
    errors = operate.withdraw(run.fleet, hosts, deployment).errors
    for host, error in errors.items():
        _tell(run, error, f"what the deployment placed stays on {host}, inert")
    return [host for host, error in errors.items() if not _unknown(error)]


def backup(run: Run, deployment: str) -> list[str]:
    """Take away the backup of a run that is over, where it is not proved, and what was made of it.

    Returns:
        The database's host where it stays.

    Raises:
        LeaseTaken: The database's host is another run's by now.
    """
    host = database.database_host(run.environment, run.app)
    if host is None or host.name not in run.fleet.fences:
        return []
    try:
        clones.withdraw(backups.vault_of(run.fleet), deployment)
    except ChangeoverError as error:
        name = run.environment.name
        _tell(run, error, f"changeover backup prune --env {name} removes what its backup left")
        return [host.name]
    return []


def _unknown(error: ChangeoverError) -> bool:
    """Tell whether the agent is too old to do it, now and at the next try."""
    return isinstance(error, AgentFailed) and error.error == "unknown-action"


def _tell(run: Run, error: ChangeoverError, says: str) -> None:
    if refused := lease.taken(run.fleet, error):
        raise refused
    run.note({"type": "warning", "says": f"warning: {says}: {error.message}"})
