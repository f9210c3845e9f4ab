"""Where no host goes back, the command that is named for afterwards has something to end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.unit.runner.deploying import deploy
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import OLD

from changeover.runner.lease import takeover

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines


def test_abort_finds_what_it_has_to_end_though_a_boot_took_the_switch_back(
    desk: Desk, machines: Machines
) -> None:
    machines.before_deployment()
    apps = [machines["one"], machines["two"]]
    for machine in apps:
        machine.on("confirm", partial(machine.refuse, "not-live"))
        machine.on("revert", partial(machine.refuse, "unhealthy"))

    error = failed(lambda: deploy(desk))

    assert "no host went back to 1.0.0" in error.message
    assert "changeover abort --env demo" in error.hint
    for machine in apps:
        machine.before.clear()
        machine.live, machine.pending = OLD, None
    assert takeover.abort(desk.context, force=False)["exit"] == 0
    assert machines.live == [OLD, OLD]
    assert all(machine.withdrawn for machine in apps)
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]
