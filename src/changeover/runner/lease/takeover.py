"""Go on with an interrupted deployment, take it back, or take over a lock; from any controller.

The hosts know which deployment holds their lease and what it has done. The plan is made anew from
what they say, and the agents skip what is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changeover import steps
from changeover.colour import version_of
from changeover.errors import ChangeoverError
from changeover.executors import canary, lease
from changeover.plan import order
from changeover.runner import endings
from changeover.runner.back import retreat, withdrawal
from changeover.runner.back.sending_back import stop
from changeover.runner.deployment import forward, stages
from changeover.runner.fleet import away
from changeover.runner.lease import holder, interruption, overtaken
from changeover.runner.own import back as own_back
from changeover.runner.page import closed, everywhere
from changeover.runner.tasks import back as tasks_back
from changeover.runner.tasks.taken import TakenBack
from changeover.runner.undo.unasked import Mended, mend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.runner.context import Context
    from changeover.runner.fleet.survey import Seen
    from changeover.runner.run import Event, Run


def resume(context: Context, *, force: bool) -> Event:
    """Take over the lease of the interrupted deployment and walk the rest of its plan.

    Raises:
        NothingInterrupted: There is no deployment to go on with.
        LockHeld: Its controller is alive; ``force`` takes the lease all the same.
    """
    held, seen = interruption.found(context, force=force)
    version = str(holder.deployed(held))
    if str(held["reason"]).startswith("abort "):
        raise interruption.NothingInterrupted(
            f"the deployment of {version} is being taken back",
            hint=f"changeover abort --env {context.environment.name} goes on with that",
        )
    if seen.lost and context.run().policy.fails:
        raise endings.one_of(seen.lost)
    if held["deployment"] is None:
        raise interruption.NothingInterrupted(
            "the lease of the interrupted deployment is gone",
            hint=f"changeover abort --env {context.environment.name}",
        )
    context.canary, context.waived = holder.canary_option(held), holder.waived(held)
    stage = stages.prepare(context, version, deployment=str(held["deployment"]))
    return forward.walk(stage.run, stage.plan, steal=True)


def abort(context: Context, *, force: bool) -> Event:
    """Take the interrupted deployment back to what was confirmed before it, and prove that.

    It needs no host but one that runs the app; what cannot be reached is named.

    Raises:
        NothingInterrupted: There is no deployment to take back.
        LockHeld: Its controller is alive; ``force`` takes the lease all the same.
        Mixed: A host could not be taken back, or what it went back to is not proved.
    """
    held, seen = interruption.found(context, force=force)
    run = context.run()
    run.fleet.any_agent = run.unstoppable = True
    run.leave_out(dict.fromkeys(seen.fenced, away.FENCED))
    name = context.environment.name
    pending = next((state.pending for state in seen.apps if state.pending), None)
    interruption.refuse_confirmed(seen.apps, held, pending, name)
    goal = (
        pending["from"]
        if pending and pending["kind"] == "switch"
        else interruption.confirmed_before(seen.apps, str(holder.deployed(held)), name)
    )
    deployment = holder.interrupted(held) or (pending["deployment"] if pending else None)
    taking = _Taking(run, seen, goal, str(holder.deployed(held)), pending, deployment)
    run.begin("abort", str(held["reason"]), goal, steps=["lock", "revert", *retreat.proofs(run)])
    try:
        with run.holding(taking.hosts):
            taking.walk()
    except KeyboardInterrupt as error:
        raise endings.interrupted(
            run,
            f"interrupted while the deployment was taken back to {goal or 'nothing'}",
            hint=f"changeover abort --env {name} goes on",
            free=False,
        ) from error
    except ChangeoverError as error:
        raise taking.failed(error) from error
    except Exception as error:
        raise taking.failed(endings.unexpected(error)) from error
    return taking.end()


@dataclass(slots=True)
class _Taking:
    """One deployment as it is taken back.

    Args:
        run: The run.
        seen: What the hosts said before.
        goal: The colour that is gone back to; ``None`` before the first deployment.
        version: The version that the deployment was of.
        pending: Its switch that nobody confirmed.
        deployment: Its id, where a host knows it.
    """

    run: Run
    seen: Seen
    goal: str | None
    version: str
    pending: Event | None
    deployment: str | None
    behind: dict[str, ChangeoverError] = field(default_factory=dict)
    moved: bool = False
    mended: Mended = field(default_factory=Mended)
    taken: TakenBack = field(default_factory=TakenBack)
    left: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> list[Host]:
        return self.seen.answered(self.run.lease_hosts)

    @property
    def app_hosts(self) -> list[Host]:
        return self.seen.answered(self.run.app_hosts)

    @property
    def lost_apps(self) -> dict[str, ChangeoverError]:
        return {**self.seen.lost_of(self.run.app_hosts), **self.behind}

    @property
    def started(self) -> set[str]:
        """The colours that the deployment started: of its version, running, and never live before.

        An older colour that runs is somebody's way back, and stays.
        """
        return {
            colour
            for state in self.seen.apps
            for colour in state.running
            if version_of(colour) == self.version
            and colour not in {self.goal, *state.history, state.confirmed}
        }

    def walk(self) -> None:
        run, names = self.run, tuple(host.name for host in self.hosts)
        of = f" of {self.deployment}" if self.deployment else ""
        reason = f"abort {self.version}{of}"
        lock = steps.Lock(id="lock", hosts=names, reason=reason, seconds=order.LEASE_SECONDS)
        run.step(lock, lambda: overtaken.take(run, lock, self.hosts))
        self.seen = away.fence_lost(run, self.seen)
        canary.end(run.fleet, self.app_hosts)
        page_of = closed.shown_by(self.seen.apps)
        if page_of is not None:
            self._reopen(page_of)
            return
        if everywhere.by_hand(self.seen.apps):
            everywhere.join(run, self.app_hosts)
        own_back.end(run, self.app_hosts)
        revert = steps.Revert(
            id="revert",
            hosts=tuple(host.name for host in self.app_hosts),
            colour=self.goal,
            of=str(self.pending["deployment"]) if self.pending else None,
            closing_seconds=order.CLOSING_SECONDS,
        )
        if self.goal is not None:
            goal, lost = version_of(self.goal), self.seen.lost
            self.mended = mend(run, goal, self.version, lost=lost)
        self.behind = away.fenced_off(run, retreat.send(run, revert, self.app_hosts))
        self.moved = True
        back = retreat.but(self.app_hosts, self.behind)
        for colour in sorted(self.started):
            stop(run, back, colour).check()
        overtaken.end(run, self.hosts, self.seen.states.values())
        self._take_back()
        self._withdraw(back)
        if self.goal is not None:
            retreat.prove(run, self.goal, back)
        if self.left:
            # A host that had lost its power may be there again.
            self._withdraw([host for host in back if host.name in self.left])
        if self.mended.error is not None and self.mended.judged:
            raise self.mended.error
        if self.taken.error is not None:
            raise self.taken.error
        withdrawal.let_go(run, self.left)

    def _take_back(self) -> None:
        """Take back what tasks did; the code that could do so stays where it did not."""
        goal = version_of(self.goal) if self.goal else None
        self.taken = tasks_back.take_back(self.run, goal, lost=self.seen.lost)

    def _withdraw(self, hosts: Sequence[Host]) -> None:
        whose = None if self.taken.error else self.deployment
        self.left = withdrawal.withdraw(self.run, hosts, whose, goal=self.goal, left=self.version)

    def _reopen(self, deployment: str) -> None:
        """Give users the old version in the place of the page."""
        goal = (self.goal, version_of(self.goal)) if self.goal else None
        if self.lost_apps:
            raise endings.one_of(self.lost_apps)
        overtaken.end(self.run, self.hosts, self.seen.states.values())
        words = closed.reopen(self.run, goal, sorted(self.started), self.version, deployment)
        self.moved, self.mended = True, Mended(otherwise=words)
        self._take_back()
        self._withdraw(self.app_hosts)
        withdrawal.let_go(self.run, self.left)

    @property
    def _again(self) -> str:
        return f"changeover abort --env {self.run.environment.name} again"

    @property
    def _stays(self) -> str:
        return f"; what the deployment left on {', '.join(self.left)} is not taken away"

    @property
    def _said(self) -> str:
        where = retreat.listed(retreat.but(self.app_hosts, self.behind))
        return f"{self.goal or 'nothing'} is live on {where}, as before the deployment"

    def end(self) -> Event:
        if self.lost_apps:
            raise self._half(self._said)
        lost = "; ".join(endings.reasons(self.seen.lost))
        without = (
            f". Not done: the lease there was not given back ({lost}), it expires" if lost else ""
        )
        unread = self.mended.error
        unsure = f"; {unread.message}" if unread else ""
        proved = ", proved" if self.goal else ""
        stays = f"{self._stays}: {self._again}" if self.left else ""
        tasks = self.taken.words
        said = f"{self._said}{proved}{self.mended.words}{tasks}{unsure}{stays}{without}"
        goal = version_of(self.goal) if self.goal else None
        return self.run.end("done", 0, said + own_back.stands(self.run, goal, self.version))

    def _half(self, said: str) -> ChangeoverError:
        lost = endings.one_of(self.lost_apps)
        return endings.mixed(
            self.run,
            f"{said}; not known to be back: {lost.host} ({lost.message})",
            lost,
            hint=f"keep users from {lost.host}; when it answers, {self._again}",
        )

    def failed(self, error: ChangeoverError) -> ChangeoverError:
        refused = lease.taken(self.run.fleet, error)
        if refused:
            return endings.taken(self.run, refused, "abort")
        name = self.run.environment.name
        if not self.moved:
            message = f"the deployment is not taken back: {error.message}"
            hint = f"changeover status --env {name}, then {self._again}"
            if self.lost_apps and closed.shown_by(self.seen.apps):
                # Nobody knows which version writes there: users get the page until that is settled.
                lost = ", ".join(self.lost_apps)
                hint = (
                    f"start {lost}, or where it never comes back take it out of the inventory,"
                    f" then {self._again}"
                )
            hint = endings.after(error, hint)
            return endings.mixed(self.run, message, error, hint=hint, goes_on=True)
        if self.lost_apps:
            return self._half(f"{self._said}, and is not proved: {error.message}")
        if error in (self.mended.error, self.taken.error):
            message = f"{self._said}; {error.message}"
            return endings.mixed(self.run, message, error, hint=error.hint)
        message = f"{self._said}, and is not proved: {error.message}"
        hint = f"changeover smoke --env {name} shows what users get"
        if self.left:
            message, hint = f"{message}{self._stays}", f"{hint}, {self._again} takes that away"
        return endings.mixed(self.run, message, error, hint=hint, goes_on=bool(self.left))
