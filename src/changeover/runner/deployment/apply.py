"""Hand each step to the executor of its duty."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from changeover import steps
from changeover.counts import counted
from changeover.errors import Failed
from changeover.executors import balance, lease, operate
from changeover.outcome import Outcome
from changeover.runner.back import withdrawal
from changeover.runner.deployment import draining, proof, safety, shares
from changeover.runner.fleet import away
from changeover.runner.lease import holder
from changeover.runner.own import left as own_left
from changeover.runner.own import migration as own_migration
from changeover.runner.own import rehearsal as own_rehearsal
from changeover.runner.own import undo as own_undo
from changeover.runner.page import closed, everywhere
from changeover.runner.rehearse import rehearsal
from changeover.runner.tasks import back as tasks_back
from changeover.runner.tasks import step as task_step

if TYPE_CHECKING:
    from changeover.runner.run import Event, Run
    from changeover.steps import AnyStep


def apply(run: Run, step: AnyStep, *, steal: bool = False) -> Outcome:  # noqa: C901, PLR0911, PLR0912 - one arm a step kind
    """Make one step happen and say what it did.

    Args:
        run: What the step works with.
        step: The step.
        steal: Take the lease even from its holder; for a run that goes on with another's work.
    """
    fleet, hosts = run.fleet, run.app_hosts
    if isinstance(step, steps.Backup | steps.Migrate | steps.MigrateOwn):
        own_left.refuse(run)
    match step:
        case steps.Preflight():
            return proof.preflight(run, step, resumed=steal)
        case steps.AskAgain():
            return proof.ask_again(run, step, resumed=steal)
        case steps.Lock():
            holder.take(run, run.lease_hosts, step.reason, step.seconds, steal=steal)
            withdrawal.overtaken(run)
            return Outcome(says=f"held on {counted(len(run.lease_hosts), 'host')}")
        case steps.Fence():
            return balance.fence(fleet, run.environment.balancers, step)
        case steps.Unfence():
            return balance.unfence(fleet, run.environment.balancers, step)
        case steps.Backup():
            return closed.backup(run, step) if step.again else safety.backup(run, step)
        case steps.Rehearse():
            return rehearsal.rehearse(run, step)
        case steps.RehearseOwn():
            return own_rehearsal.rehearse(run, step)
        case steps.Place():
            return _place(run, step)
        case steps.Migrate():
            return safety.migrate(run, step)
        case steps.MigrateOwn():
            return own_migration.run_own(run, step)
        case steps.Start():
            return operate.start(fleet, hosts, step)
        case steps.TryTask():
            return task_step.attempt(run, step)
        case steps.RunTask():
            return task_step.do(run, step)
        case steps.UndoTask():
            return tasks_back.undo(run, step)
        case steps.PreviewSmoke():
            return proof.preview(run, step)
        case steps.Canary():
            return shares.share(run, step)
        case steps.Switch():
            away.require_present(run)
            outcome, answers = operate.switch(fleet, hosts, step, give_up=away.patience(run))
            answers.check()
            return outcome
        case steps.Smoke():
            return proof.live(run, step)
        case steps.Confirm():
            return operate.confirm(fleet, hosts, step)
        case steps.Drain():
            return draining.drain(run, hosts, step)
        case steps.Revert():
            outcome, answers = operate.revert(fleet, hosts, step)
            answers.check()
            return outcome
        case steps.Undo():
            return safety.undo(run, step)
        case steps.UndoOwn():
            return own_undo.run_undo(run, step)
        case steps.RestoreDatabase():
            return safety.restore(run, step)
        case steps.MaintenanceOn():
            return everywhere.show(run, step)
        case steps.MaintenanceOff():
            return everywhere.hide(run, step)
        case steps.Stop():
            return everywhere.stop(run, step)
        case steps.Retire():
            return operate.retire(fleet, hosts, step)
        case steps.Unlock():
            lease.unlock(fleet, run.lease_hosts).check()
            return Outcome(says="the lease is free")
        case _:
            assert_never(step)


def _has(seen: Event | None, step: steps.Place) -> bool:
    """Tell whether a host said that the bundle is unpacked there: it is not sent again."""
    return any(
        (each.get("colour"), each.get("digest")) == (step.colour, step.digest)
        for each in (seen or {}).get("releases") or ()
    )


def _place(run: Run, step: steps.Place) -> Outcome:
    from changeover.executors import place  # noqa: PLC0415 - pyinfra runs apart, and only here

    if run.bundle is None:
        raise Failed(
            f"no bundle of {step.colour} was built", hint="changeover bundle build VERSION"
        )
    hosts, uploaded, changed = run.app_hosts, 0, False
    at_once = run.environment.conduct.place_at_once or len(hosts)
    for some in (hosts[first : first + at_once] for first in range(0, len(hosts), at_once)):
        lacking = [host for host in some if not _has(run.fleet.seen.get(host.name), step)]
        if lacking:
            uploaded += place.upload(run.environment, lacking, run.bundle, run.report)
        changed |= operate.place(run.fleet, some, step, run.values).changed
    by = f", {at_once} at a time" if at_once < len(hosts) else ""
    return Outcome(
        says=f"{step.colour} is on {counted(len(hosts), 'host')}{by}, {uploaded / 1_000_000:.1f} MB sent",
        changed=changed,
        figures={"bytes_sent": uploaded},
    )
