"""What a later agent recorded does not keep this one from going back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.unit.agent.stage import two

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agent.conftest import Machine


def with_more(path: Path, *inside: str) -> None:
    """Write a field that this agent does not know into a record, and into parts of it."""
    record = json.loads(path.read_text())
    for part in (record, *(record[name] for name in inside)):
        part["of_a_later_agent"] = {"kept": 1}
    path.write_text(json.dumps(record))


def test_a_switch_that_a_later_agent_recorded_is_taken_back(proxied: Machine) -> None:
    old, new = two(proxied)
    proxied.do("switch", "d2", colour=new, closing_seconds=0)
    state = proxied.root / "var/lib/changeover/sample"
    with_more(state / "live.json", "pending", "ended")
    with_more(state / "lock.json", "heartbeat")

    back = proxied.do("revert", "d2", closing_seconds=0)

    assert (back["from"], back["to"]) == (new, old)
