from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from changeover.agent import durable
from changeover.agent.program import Programs

from .stage import deadman, picture, two

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Machine

MOST_POINTS = 80


class Failpoint:
    """Ends the process at the n-th change to a file or the n-th program, before or after it."""

    def __init__(self, number: int) -> None:
        self.left = number

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            self.tick()
            result = function(*arguments, **named)
            self.tick()
            return result

        return counted

    def tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            os._exit(9)

    def set(self) -> None:
        for name in ("write", "link", "remove"):
            setattr(durable, name, self.around(getattr(durable, name)))
        Programs.run = self.around(Programs.run)  # type: ignore[method-assign]


def killed(machine: Machine, number: int, *action: object, **parameters: object) -> bool:
    """Run an action that is killed at its n-th point; tell whether it came so far."""
    child = os.fork()
    if child == 0:
        Failpoint(number).set()
        name, deployment = action
        done = machine.request({"action": name, **parameters}, deployment=str(deployment))
        os._exit(0 if done[-1]["type"] == "done" else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 9}, "it failed rather than being killed"
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
