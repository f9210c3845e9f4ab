"""How a run ends that did not go as planned: what is journaled, and what the user is told."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from changeover.errors import ChangeoverError, CheckRed, Failed, Interrupted, Mixed
from changeover.executors import lease
from changeover.remote.failures import AgentFailed
from changeover.remote.fleet import action, on_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.executors.lease import LeaseTaken
    from changeover.runner.run import Run


LAST_SECONDS = 1


class HostsLost(CheckRed):
    """Hosts do not answer, or do not do as they are told."""


def mixed(
    run: Run, message: str, error: ChangeoverError, *, hint: str, goes_on: bool = False
) -> Mixed:
    """Give the lease back, journal that a person must look, and return what they are told.

    Where the command that is named ``goes_on`` with it, the lease is left to expire: by it that
    command finds what it has to end.
    """
    if goes_on:
        let_expire(run)
    else:
        lease.unlock(run.fleet, run.lease_hosts)
    end = run.end("mixed", Mixed.exit_code, message)
    return Mixed(str(end["message"]), hint=hint, host=error.host, cause=error.cause)


def taken(run: Run, error: LeaseTaken, step: str) -> LeaseTaken:
    """Journal that another run has taken over. Nothing is taken back: the hosts are theirs now."""
    error.message = f"stopped at {step}: {error.message}"
    run.end("stopped", error.exit_code, error.message)
    return error


def interrupted(run: Run, message: str, *, hint: str, free: bool) -> Interrupted:
    """Journal that a person or the machine stopped the run, and say how to go on.

    Args:
        run: The run.
        message: Where it stopped, and what serves.
        hint: The command that goes on.
        free: Give the lease back. A deployment leaves its own to expire, which tells ``resume`` and
            ``abort`` what it was for, and keeps nobody waiting.
    """
    if free:
        lease.unlock(run.fleet, run.lease_hosts)
    else:
        let_expire(run)
    end = run.end("interrupted", Interrupted.exit_code, message)
    return Interrupted(str(end["message"]), hint=hint)


def gave_up(run: Run, error: ChangeoverError, second: ChangeoverError) -> ChangeoverError:
    """End where going back could not be done to its end, for a reason nobody thought of."""
    message = f"{error.message}; going back stopped half way: {second.message}"
    return mixed(run, message, second, hint=look(run), goes_on=True)


def known(error: Exception) -> ChangeoverError:
    """Return a failure as one that can be recovered from and told, whatever it is."""
    return error if isinstance(error, ChangeoverError) else unexpected(error)


def let_expire(run: Run) -> None:
    """Have the lease end by itself in a second, and say on the hosts whose it was."""
    held = [host for host in run.lease_hosts if host.name in run.fleet.fences]
    told = on_each(run.fleet, held, lambda _: [action("renew", ttl_seconds=LAST_SECONDS)])
    for name in told.replies:
        run.fleet.fences.pop(name, None)


def unexpected(error: Exception) -> Failed:
    """Return a fault of this program as a failure that can be recovered from and told."""
    return Failed(
        f"unexpected {type(error).__name__}: {error}",
        hint="please report this with the lines above",
        cause="".join(traceback.format_exception(error)[-3:]).strip(),
    )


def one_of(lost: Mapping[str, ChangeoverError]) -> ChangeoverError:
    """Return the failure of the first host, naming all of them, with every cause."""
    first = next(iter(lost.values()))
    causes = [f"{host}: {error.cause or error.message}" for host, error in lost.items()]
    names, cause = ", ".join(lost), "\n".join(causes)
    return HostsLost("; ".join(reasons(lost)), hint=first.hint, host=names, cause=cause)


def reasons(lost: Mapping[str, ChangeoverError]) -> Sequence[str]:
    """Return one clause a host, each with the host's name in it."""
    return [
        error.message if host in error.message else f"{host}: {error.message}"
        for host, error in lost.items()
    ]


def after(error: ChangeoverError, then: str) -> str:
    """Return what to type once what a host itself names is done, where it names something."""
    own = error.detail.get("hint") if isinstance(error, AgentFailed) else None
    return f"{own}, then {then}" if own else then


def look(run: Run) -> str:
    """Return what to type where nobody knows which hosts went back."""
    name = run.environment.name
    return f"changeover status --env {name} shows each host, then changeover abort --env {name}"
