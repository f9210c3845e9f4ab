"""What of a deployment gives way to users, and what must not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from changeover.agent import courtesy, dispatch
from changeover.agent.protocol import Action, Request

STEP_BACK = """
import os, subprocess
from changeover.agent import courtesy
from changeover.agent.system.program import Programs
courtesy.step_back(Programs())
print(os.getpriority(os.PRIO_PROCESS, 0))
print(Programs().run("nice").output.strip(), Programs().run("ionice").output.strip())
"""


def asked(*names: str) -> Request:
    actions = tuple(Action(id=name, name=name, parameters={}) for name in names)
    return Request(agent="", app="hello", deployment="d1", fence=None, actions=actions)


@pytest.mark.parametrize(
    ("names", "patient"),
    [
        (("place",), True),
        (("backup_create", "backup_attach", "backup_verify", "backup_list"), True),
        (("backup_restore",), False),
        (("switch",), False),
        (("revert",), False),
        (("start", "health"), False),
        (("stop", "start", "prune"), False),
        (("backup_create", "switch"), False),
    ],
)
def test_only_what_no_user_waits_for_gives_way(names: tuple[str, ...], patient: bool) -> None:
    assert courtesy.patient(asked(*names)) is patient


def test_what_moves_users_never_gives_way() -> None:
    assert courtesy.PATIENT & {*dispatch.ACTING, *dispatch.LEASING} == {"place"}


def test_what_the_agent_starts_gives_way_with_it() -> None:
    said = subprocess.run(
        [sys.executable, "-c", STEP_BACK], capture_output=True, text=True, check=True, timeout=60
    ).stdout

    level = str(courtesy.NICENESS)
    assert said.splitlines() == [level, f"{level} best-effort: prio 7"]
