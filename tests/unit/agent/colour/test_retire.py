from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine


@pytest.mark.parametrize("action", ["retire", "prune"])
def test_what_was_removed_is_told_and_a_second_time_is_skipped(
    machine: Machine, action: str
) -> None:
    live, old = machine.up("2.0.0"), machine.up("1.0.0")
    machine.do("switch", colour=live)
    machine.do("confirm", colour=live)
    parameters: dict[str, Any] = {"colour": old} if action == "retire" else {"keep": []}

    first = machine.do(action, **parameters)
    again = machine.do(action, **parameters)

    assert [first["skipped"], again["skipped"]] == [False, True]
    assert [bool(first["retired"]), bool(again["retired"])] == [True, False]
    records = machine.do("journal", lines=9)["records"]
    done = [one for one in records if (one["action"], one["phase"]) == (action, "done")]
    assert [one["result"]["skipped"] for one in done] == [False, True]
    assert list(machine.root.rglob(f"*{old}*")) == []
