"""A deployment that is gone on with and is red earlier than it was before leaves nothing running."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.unit.runner.deploying import plan
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.errors import CheckRed
from changeover.runner.deployment import forward
from changeover.runner.deployment.apply import apply

if TYPE_CHECKING:
    import pytest
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.outcome import Outcome
    from changeover.runner.run import Run
    from changeover.steps import AnyStep


def test_what_the_earlier_run_started_is_stopped(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.before_deployment()
    apps = [machines["one"], machines["two"]]
    for machine in apps:
        machine.running = [OLD, NEW]
    whole = plan()
    ahead = [step for step in whole.steps if step.id in {"lock", "preview"}]
    rest = [step for step in whole.steps if step not in ahead]

    def applied(run: Run, step: AnyStep, *, steal: bool = False) -> Outcome:
        if step.id == "preview":
            raise CheckRed("preview is red", hint="look")
        return apply(run, step, steal=steal)

    monkeypatch.setattr(forward, "apply", applied)
    failed(lambda: forward.walk(desk.run(), replace(whole, steps=(*ahead, *rest)), steal=True))

    assert [machine.running for machine in apps] == [[OLD], [OLD]]
