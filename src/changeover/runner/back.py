"""Rollback: send users back to what was live before, prove it, and stop what was left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.colour import version_of
from changeover.errors import ChangeoverError, InvalidInput, Mixed
from changeover.executors import backup as backups
from changeover.executors import lease
from changeover.executors.lease import Heartbeat
from changeover.fleet import action, on_each
from changeover.plan import LEASE_SECONDS, ROLLBACK_CLOSING_SECONDS
from changeover.runner import recovery, survey
from changeover.runner.apply import apply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.runner.run import Event, Run
    from changeover.runner.survey import HostState

DRAIN_SECONDS = 20


class NothingToGoBackTo(InvalidInput):
    """No colour is recorded as the one that was live before."""


def rollback(run: Run, *, to: str | None, backup: str | None) -> Event:
    """Go back to the colour before, or to a placed colour of version ``to``.

    Args:
        run: The run; its journal is opened here.
        to: A version whose colour is still on the hosts; ``None`` for what was live before.
        backup: A backup to swap the database for; ``None`` leaves the database as it is.

    Raises:
        NothingToGoBackTo: There is no such colour on the hosts; nothing was changed.
        Mixed: It failed on the way, and the hosts may disagree.
    """
    run.fleet.any_agent = True
    states = survey.host_states(run.fleet, run.lease_hosts)
    app_states = [state for state in states.values() if "app" in state.groups]
    live = app_states[0].live if len({state.live for state in app_states}) == 1 else None
    colour = _colour(run, app_states, to)
    if colour == live and all(state.confirmed == colour for state in app_states):
        run.begin("rollback", live, colour)
        return run.end("done", 0, f"nothing to do: {colour} is live already")
    run.begin("rollback", live, colour)
    sequence = _steps(run, colour, live, backup)
    current = sequence[0]
    try:
        with Heartbeat(run.fleet, run.lease_hosts, LEASE_SECONDS):
            for step in sequence:
                current = step
                run.step(step, lambda step=step: apply(run, step))  # type: ignore[misc]
            leave(run, live if live != colour else None)
    except KeyboardInterrupt as error:
        raise recovery.interrupted(run, current.id, "rollback") from error
    except ChangeoverError as error:
        raise _failed(run, current, error, colour) from error
    except Exception as error:
        raise _failed(run, current, recovery.unexpected(error), colour) from error
    return run.end("done", 0, f"{version_of(colour)} serves again, proved")


def price(run: Run, backup: str) -> str:
    """Say what swapping the database for a backup would leave behind.

    Raises:
        BackupUnknown: There is no such backup.
    """
    found = backups.price(backups.vault_of(run.fleet), backup)
    lines = [f"since {found.since} {found.rows_written} rows were written that {backup} lacks:"]
    lines += [
        f"  {each.table}: {each.rows_then} rows then, {each.rows_now} now" for each in found.tables
    ]
    run.fleet.close()
    return "\n".join([*lines, "they stay in the database that is kept beside the restored one"])


def leave(run: Run, colour: str | None) -> None:
    """Stop the colour that was left and give the lease back, in one session a host."""

    def actions(host: Host) -> list[Event]:
        stop = action("stop", colour=colour, drain_seconds=DRAIN_SECONDS)
        ends = [stop] if colour is not None and "app" in host.groups else []
        return [*ends, action("unlock")]

    answers = on_each(run.fleet, run.lease_hosts, actions)
    for error in answers.errors.values():
        run.note({"type": "warning", "says": f"warning: {error.host}: {error.message}"})


def _colour(run: Run, states: Sequence[HostState], to: str | None) -> str:
    name = run.environment.name
    if to is None:
        _refuse_before_switch(states, name)
        candidates = {state.previous for state in states}
        if len(candidates) == 1 and None not in candidates:
            return str(candidates.pop())
        said = ", ".join(f"{state.host}: {state.previous or 'nothing'}" for state in states)
        raise NothingToGoBackTo(
            f"the hosts record no common version before this one ({said})",
            hint=f"changeover status --env {name}, then changeover rollback --to VERSION",
        )
    placed = set.intersection(*(set(state.placed) for state in states)) if states else set()
    found = sorted(colour for colour in placed if version_of(colour) == to)
    if found:
        return found[-1]
    listed = ", ".join(sorted(placed)) or "nothing"
    raise NothingToGoBackTo(
        f"no bundle of {to} is on every app host; there is {listed}",
        hint=f"changeover deploy {to} --env {name}, or choose one of those",
    )


def _refuse_before_switch(states: Sequence[HostState], environment: str) -> None:
    """Refuse to go a version further back where a deployment ended before it sent users on."""
    ended = [
        state
        for state in states
        if state.lock and str(state.lock.get("reason")).startswith("deploy ") and not state.pending
    ]
    if ended and all(state.live == state.confirmed for state in states):
        lock = ended[0].lock or {}
        version = str(lock.get("reason")).removeprefix("deploy ")
        live = version_of(str(ended[0].live))
        if live != version:
            raise NothingToGoBackTo(
                f"the deployment of {version} ended before users were sent on: {live} serves",
                hint=f"changeover abort --env {environment}, or name a version with --to",
            )


def _steps(run: Run, colour: str, live: str | None, backup: str | None) -> list[steps.AnyStep]:
    app_hosts = tuple(host.name for host in run.app_hosts)
    everywhere = tuple(host.name for host in run.lease_hosts)
    version = version_of(colour)
    sequence: list[steps.AnyStep] = [
        steps.Lock(
            id="lock",
            hosts=everywhere,
            reason=f"rollback {live or 'nothing'} -> {version}",
            seconds=LEASE_SECONDS,
        )
    ]
    if backup is not None:
        databases = tuple(host.name for host in run.environment.hosts_in("db"))
        sequence.append(
            steps.RestoreDatabase(id="restore", hosts=databases, backup=backup, final=True)
        )
    return [
        *sequence,
        steps.Revert(
            id="revert", hosts=app_hosts, colour=colour, closing_seconds=ROLLBACK_CLOSING_SECONDS
        ),
        steps.Smoke(id="smoke", version=version),
    ]


def _failed(run: Run, red: steps.AnyStep, error: ChangeoverError, colour: str) -> ChangeoverError:
    lease.unlock(run.fleet, run.lease_hosts)
    if red.id in {"lock", "restore"}:
        run.end("failed", error.exit_code, error.message)
        return error
    message = f"the rollback is not complete: {red.id}: {error.message}"
    run.end("mixed", Mixed.exit_code, message)
    return Mixed(
        message,
        hint=f"changeover rollback --to {version_of(colour)} --env {run.environment.name}",
        host=error.host,
        cause=error.cause,
    )
