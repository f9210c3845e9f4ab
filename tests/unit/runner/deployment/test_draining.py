"""What became of WebSockets is said, journaled, and told in the report, whoever stopped their colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.runner.deploying import plan
from tests.unit.runner.machine import NEW, OLD

from changeover import journal, report
from changeover.runner.deployment import forward
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

WARNING = "warning: 2 WebSockets of {} ended without a close frame"


def held(machines: Machines) -> None:
    machines["one"].websockets = {"open": 3, "closed": {"1001": 3}, "cut": 0}
    machines["two"].websockets = {"open": 4, "closed": {"1000": 1, "1001": 1}, "cut": 2}


def told(desk: Desk) -> report.Summary:
    (path,) = journal.journals(desk.run().journal.path.parent)
    return report.summarise(journal.read(path))


def test_a_deployment_tells_what_its_drain_did(desk: Desk, machines: Machines) -> None:
    held(machines)
    machines.before_deployment()

    forward.walk(desk.run(), plan(), steal=False)

    says = "7 WebSockets: 1 with 1000, 4 with 1001, 2 cut"
    assert f"{OLD} drained in 0 ms, {says}, warm" in desk.says()
    assert WARNING.format(OLD) in desk.says()
    assert told(desk).websockets.as_json() == {
        "open": 7,
        "closed": {"1000": 1, "1001": 4},
        "cut": 2,
    }
    assert f"drained {says}" in report.as_text(told(desk))


def test_a_rollback_tells_what_became_of_those_that_it_left(desk: Desk, machines: Machines) -> None:
    held(machines)

    back.rollback(desk.context, to=None, backup=None)

    assert f"{NEW} drained, 7 WebSockets: 1 with 1000, 4 with 1001, 2 cut" in desk.says()
    assert WARNING.format(NEW) in desk.says()
    assert told(desk).websockets.open == 7


def test_nothing_is_said_where_there_was_none(desk: Desk, machines: Machines) -> None:
    machines.before_deployment()

    forward.walk(desk.run(), plan(), steal=False)

    assert "WebSocket" not in desk.says()
    assert "drained" not in {event["type"] for event in desk.events}
    assert told(desk).websockets.open == 0
