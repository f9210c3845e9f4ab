from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.stage import deadman, honest, picture, two

from changeover.agent.system.program import Programs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.agent.conftest import Machine

MOST_POINTS = 80


class Failpoint:
    """Ends the process before the n-th of its changes to a file and runs of a program."""

    def __init__(self, number: int) -> None:
        self.left = number

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            self.left -= 1
            if self.left == 0:
                os._exit(9)
            return function(*arguments, **named)

        return counted

    def set(self) -> None:
        for name in ("replace", "rename", "symlink_to", "touch", "unlink"):
            setattr(Path, name, self.before(getattr(Path, name)))
        for name in ("write", "ftruncate"):
            setattr(os, name, self.before(getattr(os, name)))
        Programs.run = self.before(Programs.run)  # type: ignore[method-assign]


def killed(
    machine: Machine, number: int, *action: object, fails: bool = False, **parameters: object
) -> bool:
    """Run an action that is killed at its n-th point; tell whether it came so far."""
    child = os.fork()
    if child == 0:
        Failpoint(number).set()
        name, deployment = action
        done = machine.request({"action": name, **parameters}, deployment=str(deployment))
        os._exit(0 if done[-1]["type"] == ("failed" if fails else "done") else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 9}, "it ended otherwise than by being killed"
    honest(machine)
    return code == 9


@pytest.mark.parametrize("recover", ["resume", "revert", "deadman"])
def test_a_switch_killed_anywhere_is_finished_or_undone(proxied: Machine, recover: str) -> None:
    _, new = two(proxied)
    start = picture(proxied)
    proxied.do("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)
    end = picture(proxied)
    end["pending"] = {**end["pending"], "at": None}
    proxied.do("revert", "d2", closing_seconds=0)
    wanted = {"resume": end, "revert": start, "deadman": start}[recover]
    number, points = 1, 0
    while killed(proxied, number, "switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0):
        if recover == "resume":
            proxied.do("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)
        elif recover == "deadman":
            armed = (proxied.root / "var/lib/changeover/sample/deadman-d2.json").exists()
            assert deadman(proxied, "d2") == 0
            if not armed:
                proxied.do("revert", "d2", of="d2", closing_seconds=0)
        else:
            proxied.do("revert", "d2", of="d2", closing_seconds=0)
        found = picture(proxied)
        if found["pending"]:
            found["pending"]["at"] = None
        assert found == wanted, f"killed at point {number}"
        if recover == "resume":
            proxied.do("revert", "d2", closing_seconds=0)
        number, points = number + 1, points + 1
    assert 20 <= points < MOST_POINTS
    assert recover != "revert" or picture(proxied)["pending"]


ENDS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "revert": ("revert", {"closing_seconds": 0}, False),
    "revert of a confirmed switch": ("revert", {"closing_seconds": 0}, True),
    "confirm": ("confirm", {}, False),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_killed_anywhere_is_finished_by_another(proxied: Machine, end: str) -> None:
    name, parameters, kept = ENDS[end]
    _, new = two(proxied)
    if name == "confirm":
        parameters = {"colour": new}

    def begin(deployment: str) -> None:
        proxied.do("switch", deployment, colour=new, deadman_seconds=9, closing_seconds=0)
        if kept:
            proxied.do("confirm", deployment, colour=new)

    begin("d0")
    proxied.do(name, "e0" if kept else "d0", **parameters)
    wanted = picture(proxied)
    number, came = 0, True
    while came:
        number += 1
        proxied.do("revert", f"d{number}-before", of=f"d{number - 1}", closing_seconds=0)
        begin(f"d{number}")
        ending = f"e{number}" if kept else f"d{number}"
        came = killed(proxied, number, name, ending, **parameters)
        proxied.do(name, ending, **parameters)
        assert picture(proxied) == wanted, f"killed at point {number}"
    assert 10 < number < MOST_POINTS


def test_a_switch_that_nginx_refuses_is_undone_or_killed_and_taken_back(proxied: Machine) -> None:
    _, new = two(proxied)
    start = picture(proxied)
    refuse = proxied.root / "units/refuse-reload"
    number, came = 0, True
    while came:
        number += 1
        refuse.touch()
        parameters = {"colour": new, "deadman_seconds": 9, "closing_seconds": 0}
        came = killed(proxied, number, "switch", "d2", fails=True, **parameters)
        refuse.unlink()
        if came:
            proxied.do("revert", "d2", of="d2", closing_seconds=0)
        assert picture(proxied) == start, f"killed at point {number}"
    assert 10 < number < MOST_POINTS
