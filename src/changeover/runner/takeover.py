"""Go on with an interrupted deployment, take it back, or take over a lock; from any controller.

The hosts know which deployment holds their lease and what it has done. The plan is made anew from
what they say, and the agents skip what is done.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from changeover import plan as planning
from changeover import steps
from changeover.colour import version_of
from changeover.errors import ChangeoverError, InvalidInput, LockHeld, Mixed
from changeover.executors import lease, operate
from changeover.runner import forward, recovery, stages, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.runner.run import Event, Run
    from changeover.runner.stages import Context
    from changeover.runner.survey import HostState

# A live controller renews its lease every 40 s; one that was silent for longer has gone.
ALIVE_SECONDS = 45
DEPLOY = "deploy "


class NothingInterrupted(InvalidInput):
    """No host holds a lease of an interrupted deployment."""


def resume(context: Context, *, force: bool) -> Event:
    """Take over the lease of the interrupted deployment and walk the rest of its plan.

    Raises:
        NothingInterrupted: There is no deployment to go on with.
        LockHeld: Its controller is alive; ``force`` takes the lease all the same.
    """
    held = _interrupted(context, force=force)
    version = str(held["reason"]).removeprefix(DEPLOY)
    if held["deployment"] is None:
        raise NothingInterrupted(
            "the lease of the interrupted deployment is gone",
            hint=f"changeover abort --env {context.environment.name}",
        )
    stage = stages.prepare(context, version, deployment=str(held["deployment"]))
    return forward.walk(stage.run, stage.plan, steal=True)


def abort(context: Context, *, force: bool) -> Event:
    """Take the interrupted deployment back to what was confirmed before it.

    Raises:
        NothingInterrupted: There is no deployment to take back.
        LockHeld: Its controller is alive; ``force`` takes the lease all the same.
        Mixed: A host could not be taken back.
    """
    held = _interrupted(context, force=force)
    run = context.run()
    run.fleet.any_agent = True
    states = survey.host_states(run.fleet, run.lease_hosts)
    pending = next((state.pending for state in states.values() if state.pending), None)
    _refuse_confirmed(states.values(), held, pending, context.environment.name)
    goal = (
        pending["from"]
        if pending and pending["kind"] == "switch"
        else survey.agreed(states.values(), "confirmed", context.environment.name)
    )
    run.begin("abort", str(held["reason"]), goal)
    try:
        lock = steps.Lock(
            id="lock",
            hosts=tuple(states),
            reason=f"abort {held['deployment']}",
            seconds=planning.LEASE_SECONDS,
        )
        run.step(lock, lambda: _steal(run, lock))
        _back(run, tuple(states.values()), goal, str(pending["deployment"]) if pending else None)
        lease.unlock(run.fleet, run.lease_hosts).check()
    except ChangeoverError as error:
        run.end("mixed", Mixed.exit_code, error.message)
        raise Mixed(
            f"the deployment is not taken back everywhere: {error.message}",
            hint=f"changeover status --env {context.environment.name}, then changeover abort again",
            host=error.host,
            cause=error.cause,
        ) from error
    return run.end("done", 0, f"{goal or 'nothing'} is live, as before the deployment")


def steal(context: Context, reason: str) -> str | None:
    """Take the lock from whoever holds it, journal whose it was, give it back; return the holder."""
    run = context.run()
    run.fleet.any_agent = True
    states = survey.host_states(run.fleet, run.lease_hosts)
    holder = next((str(state.lock["owner"]) for state in states.values() if state.lock), None)
    run.begin("lock steal", holder, None, reason=reason)
    lock = steps.Lock(id="lock", hosts=tuple(states), reason=reason, seconds=60)
    run.step(lock, lambda: _steal(run, lock))
    lease.unlock(run.fleet, run.lease_hosts).check()
    run.end("done", 0, f"taken from {holder or 'nobody'}: {reason}")
    return holder


def _steal(run: Run, step: steps.Lock) -> steps.Outcome:
    lease.lock(run.fleet, run.lease_hosts, step.reason, step.seconds, steal=True)
    return steps.Outcome(says=f"taken on {len(run.lease_hosts)} hosts")


def _interrupted(context: Context, *, force: bool) -> Event:
    run = context.run()
    run.fleet.any_agent = True
    states = survey.host_states(run.fleet, run.lease_hosts)
    leases = [state.lock for state in states.values() if state.lock]
    held = next((each for each in leases if str(each["reason"]).startswith(DEPLOY)), None)
    name = context.environment.name
    unconfirmed = next((each for each in states.values() if each.live != each.confirmed), None)
    if held is None and unconfirmed is not None:
        return {"reason": f"{DEPLOY}{version_of(str(unconfirmed.live))}", "deployment": None}
    if held is None:
        raise NothingInterrupted(
            "no host holds the lease of an interrupted deployment",
            hint=f"changeover status --env {name}",
        )
    silent = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(str(held["heartbeat"]))
    if silent.total_seconds() < ALIVE_SECONDS and not force and not held.get("expired"):
        raise LockHeld(
            f"{held['owner']} held the lease {silent.total_seconds():.0f} s ago: {held['reason']}",
            hint=f"wait {ALIVE_SECONDS} s, or add --force when that controller is gone",
        )
    return held


def _refuse_confirmed(
    states: Iterable[HostState], held: Event, pending: Event | None, environment: str
) -> None:
    version = str(held["reason"]).removeprefix(DEPLOY)
    confirmed = {version_of(state.confirmed) for state in states if state.confirmed}
    if pending is None and version in confirmed:
        raise NothingInterrupted(
            f"{version} was confirmed before the deployment stopped: there is nothing to abort",
            hint=f"changeover resume --env {environment} ends it, "
            f"changeover rollback --env {environment} takes it back",
        )


def _back(run: Run, states: Sequence[HostState], goal: str | None, of: str | None) -> None:
    """Send every app host to the colour before, and stop what the deployment had started."""
    others = {
        colour
        for state in states
        for colour in state.running
        if colour not in {goal, state.previous}
    }
    step = steps.Revert(
        id="revert",
        hosts=tuple(state.host for state in states if "app" in state.groups),
        colour=goal,
        of=of,
        closing_seconds=planning.ROLLBACK_CLOSING_SECONDS,
    )
    recovery.revert(run, step)
    for colour in sorted(others):
        operate.stop(run.fleet, run.app_hosts, colour, recovery.STOP_SECONDS).check()
