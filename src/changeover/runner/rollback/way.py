"""One rollback under way: its steps, and how far it is. What is said of it at its end is in `ends`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from changeover import steps
from changeover.colour import version_of
from changeover.executors import canary, lease
from changeover.outcome import Outcome
from changeover.plan.order import LEASE_SECONDS, ROLLBACK_CLOSING_SECONDS
from changeover.remote.fleet import action, on_each
from changeover.runner.back import retreat
from changeover.runner.deployment import draining, safety
from changeover.runner.fleet import away, survey
from changeover.runner.lease import holder
from changeover.runner.page import everywhere
from changeover.runner.tasks.taken import TakenBack
from changeover.runner.undo import in_rollback as undone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from changeover.errors import ChangeoverError
    from changeover.inventory import Host
    from changeover.runner.fleet.survey import Seen
    from changeover.runner.run import Event, Run

DRAIN_SECONDS = 20


@dataclass(slots=True)
class Way:
    """One rollback under way.

    Args:
        run: The run.
        seen: What the hosts said before it.
        colour: Where it goes.
        backup: What the database is swapped for.
        placing: The steps that bring the colour up where it is on no host.
        check: Asked once the lease is held, before anything moves: gives what has to be undone in
            the database before the version can run, and raises where nothing may move.
        undo: What has to be undone, once that is known.
        take_back: Takes back what tasks of later releases did, once users are on the version.
        owed: Whether an earlier way back left some of that.
        taken: What became of it.
        behind: The app hosts that did not go back, and why.
        silent: Why no app host answers any more at the end; empty where one does.
        at: The step it is in.
    """

    run: Run
    seen: Seen
    colour: str
    backup: str | None = None
    placing: tuple[steps.AnyStep, ...] = ()
    check: Callable[[], steps.Undo | None] = lambda: None
    undo: steps.Undo | None = None
    take_back: Callable[[], TakenBack] = TakenBack
    owed: bool = False
    taken: TakenBack = field(default_factory=TakenBack)
    behind: dict[str, ChangeoverError] = field(default_factory=dict)
    silent: dict[str, ChangeoverError] = field(default_factory=dict)
    at: str = "lock"

    @property
    def version(self) -> str:
        """The version that it goes to."""
        return version_of(self.colour)

    @property
    def hosts(self) -> list[Host]:
        """The hosts that answered."""
        return self.seen.answered(self.run.lease_hosts)

    @property
    def app_hosts(self) -> list[Host]:
        """The app hosts that answered."""
        return self.seen.answered(self.run.app_hosts)

    @property
    def lost_apps(self) -> dict[str, ChangeoverError]:
        """The app hosts that are not known to be back, and why."""
        return {**self.seen.lost_of(self.run.app_hosts), **self.behind}

    @property
    def back(self) -> list[Host]:
        """The app hosts that went back."""
        return retreat.but(self.app_hosts, self.behind)

    @property
    def live(self) -> str | None:
        """The colour that is left, where all hosts that answered agree on it."""
        said = {state.live for state in self.seen.apps}
        return said.pop() if len(said) == 1 else None

    @property
    def there(self) -> bool:
        """Whether no host has to move, or to end a move that was cut off."""
        return all(
            state.live == state.confirmed == self.colour and state.pending is None
            for state in self.seen.apps
        )

    @property
    def unproved(self) -> bool:
        """Whether a rollback to this colour moved users, and was killed before it gave its lease back."""
        went = [holder.went_back(state.lock) for state in self.seen.apps]
        return any(found is not None and found[1] == self.colour for found in went)

    @property
    def left_held(self) -> bool:
        """Whether a lease is left of a run that is gone, as on a host that came back after it ended."""
        return holder.left_alone(self.seen.states.values(), self.run.journal.path.parent)

    @property
    def steps(self) -> list[str]:
        """The ids of the steps that it takes; of undoing it is known once the ledger was asked."""
        moves = [] if self.there else ["revert"]
        restores = ["restore"] if self.backup else []
        proofs = retreat.proofs(self.run)
        placing = [step.id for step in undone.order(self.placing, self.undo)]
        needed = moves or restores or self.unproved or self.left_held or self.undo or self.owed
        return ["lock", *placing, *moves, *restores, *proofs] if needed else []

    def walk(self) -> None:
        """Do all of it; what is red is raised."""
        if not self.steps:
            return
        self._lock()
        if everywhere.by_hand(self.seen.apps):
            everywhere.join(self.run, self.app_hosts)
        self.seen = away.fence_lost(self.run, self.seen)
        said = self.run.fleet.seen
        if shared := [host for host in self.app_hosts if said.get(host.name, {}).get("canary")]:
            canary.end(self.run.fleet, shared)
        self.undo = self.check()
        for step in undone.order(self.placing, self.undo):
            from changeover.runner.deployment.apply import apply  # noqa: PLC0415 - a rename waits for none of these

            self.at = step.id
            self.run.step(step, partial(apply, self.run, step))
        if not self.there:
            self.at = "revert"
            step = steps.Revert(
                id="revert",
                hosts=tuple(host.name for host in self.app_hosts),
                colour=self.colour,
                closing_seconds=ROLLBACK_CLOSING_SECONDS,
            )
            self.behind = away.fenced_off(self.run, retreat.send(self.run, step, self.app_hosts))
        if self.backup and not self.behind:
            self._restore(self.backup)
        self.at = "smoke"
        retreat.prove(self.run, self.colour, self.back)
        if not self.behind:
            self.at = "tasks"
            self.taken = self.take_back()
        self.at = "unlock"
        if self.run.fleet.overtaken:
            from changeover.runner.back import withdrawal  # noqa: PLC0415 - a rename waits for no backup

            withdrawal.overtaken(self.run)
        self._leave()

    def _lock(self) -> None:
        reason = f"rollback {self.live or 'several'} -> {self.colour}"
        names = tuple(host.name for host in self.hosts)
        step = steps.Lock(id="lock", hosts=names, reason=reason, seconds=LEASE_SECONDS)

        def act() -> Outcome:
            steal = holder.left_alone(self.seen.states.values(), self.run.journal.path.parent)
            lease.lock(self.run.fleet, self.hosts, reason, LEASE_SECONDS, steal=steal)
            return Outcome(says=f"held on {', '.join(names)}")

        self.run.step(step, act)

    def _restore(self, backup: str) -> None:
        """Swap the database, once nobody writes to it but users of the old version.

        They are counted: the swap refuses connections first, and compares afterwards.
        """
        self.at = "restore"
        databases = tuple(host.name for host in self.run.environment.hosts_in("db"))
        step = steps.RestoreDatabase(id="restore", hosts=databases, backup=backup, final=True)

        def act() -> Outcome:
            for left in sorted({str(s.live) for s in self.seen.apps if s.live != self.colour}):
                draining.stop(self.run, self.app_hosts, left, DRAIN_SECONDS).check()
            return safety.restore(self.run, step)

        self.run.step(step, act)

    def _leave(self) -> None:
        """Stop the colour that was left and give the lease back, in one session a host."""

        def actions(host: Host) -> Sequence[Event]:
            left = self._left(host)
            ends = []
            if left not in {None, self.colour}:
                ends.append(action("stop", colour=left, drain_seconds=DRAIN_SECONDS))
            return [*ends, action("unlock")]

        hosts = retreat.but(self.hosts, self.behind)
        answers = on_each(self.run.fleet, hosts, actions, again=True)
        stopped: dict[str, list[Event]] = {}
        for name, replies in answers.replies.items():
            self.run.fleet.fences.pop(name, None)
            if "stop" in replies:
                colour = str(self.seen.states[name].live)
                stopped.setdefault(colour, []).append(dict(replies["stop"].result))
        for colour, results in stopped.items():
            draining.tell(self.run, colour, results)
        for host, error in answers.errors.items():
            says = f"the lease on {host} ends by itself within {LEASE_SECONDS} s: {error.message}"
            self.run.note({"type": "warning", "says": f"warning: {says}"})
        if all(host.name in answers.errors for host in self.back):
            self.silent = survey.silent(self.run.fleet, self.back)

    def _left(self, host: Host) -> str | None:
        """Return the colour that a host leaves; where a move was cut off, the one that it left."""
        state = self.seen.states[host.name]
        if "app" not in host.groups:
            return None
        if state.pending and state.live == self.colour:
            return str(state.pending["from"]) if state.pending["kind"] == "revert" else None
        went = holder.went_back(state.lock)
        if went is not None and state.live == self.colour == went[1]:
            return went[0] if went[0] in state.running else None
        return state.live
