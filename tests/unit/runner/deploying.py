"""A deployment of the runner's tests: over several hosts, without what needs a bundle."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.unit.runner.machine import NEW, OLD

from changeover.plan import order as planning
from changeover.plan.situation import Situation, Target
from changeover.runner.deployment import forward
from changeover.verdict import judge

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

# What needs a bundle, or a program of its own.
ELSEWHERE = {"preflight", "backup", "place"}


def plan(**changes: object) -> planning.Plan:
    situation = Situation(
        environment="demo",
        app="hello",
        live=OLD,
        live_version="1.0.0",
        app_hosts=("one", "two"),
        all_hosts=("one", "two", "three"),
        database_hosts=("three",),
        verdict=judge([]),
    )
    target = Target(
        version="3.0.0", colour=NEW, digest="b" * 64, bundle="b", guide={}, drain_seconds=1
    )
    made = planning.deploy(replace(situation, **changes), target)  # type: ignore[arg-type]
    return replace(made, steps=tuple(each for each in made.steps if each.id not in ELSEWHERE))


def deploy(desk: Desk, *, resumed: bool = False) -> str:
    return str(forward.walk(desk.run(), plan(), steal=resumed)["message"])


def on_new(machines: Machines, confirmed: str) -> None:
    """Have an earlier run of the deployment sent users on."""
    for name in ("one", "two"):
        machine = machines[name]
        machine.live, machine.confirmed, machine.running = NEW, confirmed, [OLD, NEW]
        if confirmed == OLD:
            machine.pending = {"kind": "switch", "deployment": "d", "from": OLD}
