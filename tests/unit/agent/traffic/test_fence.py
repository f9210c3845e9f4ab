"""A fence that is cut off at any point: the record, HAProxy and its next start agree after the next call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent.test_killed import Failpoint

from changeover.agent.traffic import fence, haproxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

HEADER = "# be_name srv_name srv_op_state srv_admin_state srv_check_health"
HOSTS = ("app1", "app2", "app3")
MOST_POINTS = 40


class Balancer:
    """HAProxy, as its admin socket answers; a server in maintenance is a file, which a kill leaves."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "haproxy"
        self.directory.mkdir()
        (root / haproxy.KEPT).parent.mkdir(parents=True)

    @property
    def fenced(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}

    def ask(self, _: Path, command: str) -> str:
        match command.split():
            case ["set", "server", path, "state", state]:
                name = str(self.directory / path.rpartition("/")[2])
                if state == "maint":
                    os.close(os.open(name, os.O_CREAT))
                elif name.rpartition("/")[2] in self.fenced:
                    os.remove(name)  # noqa: PTH107 - Path's own is where a test kills
                return ""
            case ["show", "stat"]:
                return "# pxname,svname,scur\n"
        lines = [f"https {host} 2 {int(host in self.fenced)} 4" for host in HOSTS]
        return "\n".join(["1", HEADER, *lines])


@pytest.fixture
def balancer(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Balancer:
    made = Balancer(machine.root)
    monkeypatch.setattr(haproxy, "ask", made.ask)
    return made


def kept(machine: Machine) -> set[str]:
    path = machine.root / haproxy.KEPT
    return {host for host in HOSTS if path.exists() and host in path.read_text()}


def cut(machine: Machine, number: int, action: dict[str, object]) -> bool:
    """Run an action that is killed at its n-th change; tell whether it came so far."""
    child = os.fork()
    if child == 0:
        point = Failpoint(number)
        point.set()
        haproxy.tell = point.before(haproxy.tell)
        os._exit(0 if machine.request(action)[-1]["type"] == "done" else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 9}
    return code == 9


@pytest.mark.parametrize("what", ["fence", "unfence"])
@pytest.mark.parametrize("then", ["the same", "a fence of another", "an unfence of another"])
def test_after_a_kill_anywhere_the_next_call_brings_all_in_line(
    machine: Machine, balancer: Balancer, what: str, then: str
) -> None:
    named: dict[str, object] = {"action": what, "servers": ["app2"]}
    wanted = {**named, "why": "it is lost"} if what == "fence" else named
    others = {"a fence of another": "fence", "an unfence of another": "unfence"}
    number = 1
    while number < MOST_POINTS:
        machine.do("unfence", servers=list(HOSTS))
        if then == "an unfence of another":
            machine.do("fence", servers=["app3"], why="so")
        if what == "unfence":
            machine.do("fence", servers=["app2"], why="so")
        if not cut(machine, number, wanted):
            break
        if then == "the same":
            assert machine.request(wanted)[-1]["type"] == "done"
        elif others[then] == "fence":
            machine.do("fence", servers=["app3"], why="so")
        else:
            machine.do("unfence", servers=["app3"])
        recorded = set(fence.read(machine.call().places))
        assert (balancer.fenced, kept(machine)) == (recorded, recorded), number
        if then == "the same":
            assert recorded == ({"app2"} if what == "fence" else set())
        number += 1
    assert 5 < number < MOST_POINTS
