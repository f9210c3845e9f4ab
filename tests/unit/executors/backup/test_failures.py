"""What an agent says of backups becomes an exit code and a next command of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import changeover.agent
from changeover.errors import ChangeoverError
from changeover.executors.backup.failures import told
from changeover.remote.failures import AgentFailed

AGENT = Path(changeover.agent.__file__).parent
RAISED = re.compile(
    r'(?:ActionError|Fault|damaged)\(\s*"([a-z]+(?:-[a-z]+)+)"|fault\([^)]*"([a-z-]+)"\)'
)
# What only a controller that asks wrongly is told.
OWN_MISTAKES = {"attachment-unknown", "bad-parameter", "not-encrypted"}
SOURCES = sorted(
    path for folder in ("backup", "physical", "postgres") for path in AGENT.glob(f"{folder}/*.py")
)
NAMES = sorted(
    {name for path in SOURCES for found in RAISED.findall(path.read_text()) for name in found}
    - {"", *OWN_MISTAKES}
)


@pytest.mark.parametrize("name", NAMES)
def test_every_failure_of_the_agent_that_backups_meet_has_a_leaf(name: str) -> None:
    with pytest.raises(ChangeoverError) as caught, told("prod"):
        raise AgentFailed("it says so", hint="", error=name, host="three")

    assert not isinstance(caught.value, AgentFailed)
    assert "{" not in caught.value.hint
    assert caught.value.exit_code in {1, 2, 4, 5, 6}


def test_a_backup_that_is_under_way_is_a_lock_that_is_held() -> None:
    with pytest.raises(ChangeoverError) as caught, told("prod"):
        raise AgentFailed("busy", hint="", error="backup-busy", host="three")

    assert caught.value.exit_code == 5
    assert len(NAMES) > 20
