"""Bring one fenced host to a colour: place, start, health, smoke on its sockets, rename, confirm."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, assert_never

from changeover import steps
from changeover.colour import version_of
from changeover.errors import CheckRed
from changeover.executors import maintenance, operate
from changeover.outcome import Outcome
from changeover.plan.order import ROLLBACK_CLOSING_SECONDS, START_SECONDS
from changeover.runner.deployment import draining, forecast, proof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from changeover.inventory import Host
    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.fleet.moves import Move
    from changeover.runner.run import Run

WARM_SECONDS = 20


class BuildDiffers(CheckRed):
    """This checkout builds something else than what the other hosts serve."""


@dataclass(slots=True)
class Bringing:
    """Brings hosts to colours, one at a time; what was built for one serves the next.

    Args:
        context: What the verb works with.
        run: The run; it holds the lease on all of them.
        left_by: The deployment that left each of them out.
    """

    context: Context
    run: Run
    left_by: Mapping[str, str]
    _built: dict[str, Run] = field(default_factory=dict)

    def make(self, host: Host, move: Move) -> None:
        """Make one move of a host; users do not see it."""
        match move.kind:
            case "settle" | "back":
                self._back(host, move.colour)
            case "on":
                self._on(host, str(move.colour))
            case _:
                assert_never(move.kind)

    def prove(self, host: Host, colour: str | None) -> None:
        """Have the colour run, healthy, and smoke it on the host's own sockets."""
        if colour is None:
            return
        start = steps.Start(id="start", hosts=(host.name,), colour=colour, seconds=START_SECONDS)
        self._step(start, lambda: operate.start(self.run.fleet, [host], start))
        preview = steps.PreviewSmoke(
            id="preview", hosts=(host.name,), colour=colour, version=version_of(colour)
        )
        self._step(preview, lambda: proof.preview(self.run, preview, [host]))

    def keep_warm(self, host: Host, live: str | None, previous: str | None) -> None:
        """Leave the host with the live colour, the one to go back to running beside it, and no other."""
        if live is None or previous is None:
            return
        drain = steps.Drain(
            id="drain",
            hosts=(host.name,),
            colour=previous,
            keep=(live, previous),
            warm=True,
            seconds=WARM_SECONDS,
        )
        self._step(drain, lambda: draining.drain(self.run, [host], drain))

    def open(self, host: Host, state: HostState) -> None:
        """Take the page of maintenance away that stayed on the host while the others' went."""
        page = state.maintenance or {}
        # Nobody takes away by hand what a deployment shows.
        for kind in [each for each in ("deployment", "hand") if page.get(each)]:
            step = steps.MaintenanceOff(id="maintenance-off", hosts=(host.name,), wanted=kind)
            self._step(step, partial(self._hide, host, kind))

    def _hide(self, host: Host, kind: str) -> Outcome:
        maintenance.hide(self.run.fleet, [host], kind).check()
        return Outcome(says="the page of maintenance that was still on there is gone")

    def _back(self, host: Host, colour: str | None) -> None:
        state = operate.states(self.run.fleet, [host]).each("state")[host.name]
        pending = state.get("pending") or {}
        step = steps.Revert(
            id="revert",
            hosts=(host.name,),
            colour=colour,
            of=str(pending["deployment"]) if pending else self.left_by[host.name],
            closing_seconds=ROLLBACK_CLOSING_SECONDS,
        )

        def act() -> Outcome:
            outcome, answers = operate.revert(self.run.fleet, [host], step)
            answers.check()
            return outcome

        self._step(step, act)

    def _on(self, host: Host, colour: str) -> None:
        state = operate.states(self.run.fleet, [host]).each("state")[host.name]
        if colour not in {entry["colour"] for entry in state["releases"]}:
            self._place(host, colour)
        self.prove(host, colour)
        switch = steps.Switch(
            id="switch",
            hosts=(host.name,),
            colour=colour,
            before=state["live"],
            deadman_seconds=0,
            closing_seconds=ROLLBACK_CLOSING_SECONDS,
        )

        def act() -> Outcome:
            outcome, answers = operate.switch(self.run.fleet, [host], switch)
            answers.check()
            return outcome

        self._step(switch, act)
        confirm = steps.Confirm(id="confirm", hosts=(host.name,), colour=colour)
        self._step(confirm, lambda: operate.confirm(self.run.fleet, [host], confirm))

    def _place(self, host: Host, colour: str) -> None:
        from changeover.executors import place  # noqa: PLC0415 - pyinfra runs apart, and only here

        built = self._build(colour)
        target, bundle = forecast.target(built), built.bundle
        if target.colour != colour or bundle is None:
            raise BuildDiffers(
                f"the other hosts have {colour}, and this checkout builds {target.colour}",
                hint="use the checkout and the environment values that deployed it, then "
                f"changeover catch-up --env {self.run.environment.name}",
                host=host.name,
            )
        step = target.placing((host.name,))

        def act() -> Outcome:
            sent = place.upload(self.run.whole, [host], bundle, self.run.report)
            placed = operate.place(self.run.fleet, [host], step, built.values)
            return replace(placed, says=f"{placed.says}, {sent / 1_000_000:.1f} MB sent")

        self._step(step, act)

    def _build(self, colour: str) -> Run:
        version = version_of(colour)
        if version not in self._built:
            made = self.context.run()
            made.release = self.context.release(version)
            forecast.build(made, self.context.releases)
            self._built[version] = made
        return self._built[version]

    def _step(self, step: steps.AnyStep, act: Callable[[], Outcome]) -> None:
        self.run.step(step, act)
