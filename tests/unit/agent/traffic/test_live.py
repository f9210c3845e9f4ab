"""What a later agent recorded does not keep this one from going back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.agent.stage import two, with_more

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine


def test_a_switch_that_a_later_agent_recorded_is_taken_back(proxied: Machine) -> None:
    old, new = two(proxied)
    proxied.do("switch", "d2", colour=new, closing_seconds=0)
    state = proxied.root / "var/lib/changeover/sample"
    with_more(state / "live.json", "pending", "ended")
    with_more(state / "lock.json", "heartbeat")

    back = proxied.do("revert", "d2", closing_seconds=0)

    assert (back["from"], back["to"]) == (new, old)
