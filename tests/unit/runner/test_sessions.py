"""How often a host is spoken to: one session a phase, whatever the phase asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.runner.deploying import plan

from changeover.runner.deployment import forward
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

APPS, ALL = {"one": 1, "two": 1}, {"one": 1, "three": 1, "two": 1}


def sessions(desk: Desk) -> dict[str, dict[str, int]]:
    done = (event for event in desk.events if event["type"] == "step-done")
    return {event["step"]: event["sessions"] for event in done}


def together(machines: Machines) -> list[list[str]]:
    """What host ``one`` was asked, session by session."""
    return [names for _, _, host, names in machines.calls if host == "one"]


def test_a_deployment_has_one_session_a_host_a_phase(desk: Desk, machines: Machines) -> None:
    machines.before_deployment()

    forward.walk(desk.run(), plan())

    assert sessions(desk) == {
        "lock": ALL,
        "start": APPS,
        "preview": {},  # the release declares no check for it
        "switch": APPS,
        "smoke": APPS,
        "confirm": APPS,
        "drain": APPS,
        "unlock": ALL,
    }
    assert together(machines)[0] == ["lock", "state"]
    assert ["stop", "start", "prune"] in together(machines)


def test_a_rollback_asks_and_then_has_one_session_a_host_a_phase(
    desk: Desk, machines: Machines
) -> None:
    back.rollback(desk.context, to=None, backup=None)

    assert sessions(desk) == {"lock": ALL, "revert": APPS, "inside": {}, "smoke": {}}
    assert together(machines) == [
        ["state"],
        ["lock", "state"],
        ["revert"],
        ["stop", "unlock"],
    ]


def test_runs_of_one_command_share_their_connections(desk: Desk, machines: Machines) -> None:
    context = desk.context
    hosts = context.environment.hosts

    first, second = context.run().fleet, context.run().fleet

    assert [first.line(host) for host in hosts] == [second.line(host) for host in hosts]
    assert len(machines.lines) == len(hosts)
