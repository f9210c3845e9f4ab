from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from changeover.agent.system import clock
from changeover.agent.system.clock import Moment

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine

OTHER = "nonce-of-another"


def steal(machine: Machine) -> int:
    lines = machine.request(
        {"action": "steal", "owner": "x", "reason": "y", "ttl_seconds": 60, "nonce": OTHER}
    )
    number: int = lines[-1]["result"]["number"]
    return number


def lock(machine: Machine, nonce: str = OTHER, **more: object) -> dict[str, Any]:
    action = {"action": "lock", "owner": "x", "reason": "y", "ttl_seconds": 60, "nonce": nonce}
    return machine.request({**action, **more})[-1]


def at(monkeypatch: pytest.MonkeyPatch, wall: float, boot: str, uptime: float) -> None:
    monkeypatch.setattr(clock, "now", lambda: Moment(wall, boot, uptime))


def test_a_held_lease_names_its_holder_and_not_its_proof(machine: Machine) -> None:
    failure = lock(machine)

    assert failure["error"] == "lock-held"
    assert failure["holder"]["owner"] == "a"
    assert not failure["holder"]["expired"]
    assert "nonce" not in str(failure)


def test_a_lease_tells_how_long_its_holder_was_silent_whatever_the_wall_clock_says(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1000, "boot", 100)
    machine.do("renew", ttl_seconds=60)

    at(monkeypatch, 90000, "boot", 112.5)
    assert machine.do("state")["lock"]["silent"] == 12.5


def test_the_holder_takes_its_lease_again_under_the_same_number(machine: Machine) -> None:
    assert lock(machine, "nonce-of-a-test")["result"]["number"] == machine.number


def test_numbers_only_grow(machine: Machine) -> None:
    machine.do("unlock")

    assert lock(machine)["result"]["number"] == machine.number + 1
    assert steal(machine) == machine.number + 1, "its holder keeps its number"


def test_a_request_from_before_the_lease_was_given_back_is_refused(machine: Machine) -> None:
    old = {"number": machine.number, "nonce": "nonce-of-a-test"}
    machine.do("unlock")
    lock(machine, "nonce-of-a-test")

    assert machine.request({"action": "prune", "keep": []}, fence=old)[-1]["error"] == "fenced"


def test_a_fleet_may_share_a_number(machine: Machine) -> None:
    machine.do("unlock")

    assert lock(machine, at_least=40)["result"]["number"] == 40


@pytest.mark.parametrize("action", ["renew", "unlock", "revert", "prune"])
def test_an_overtaken_controller_is_refused(machine: Machine, action: str) -> None:
    steal(machine)

    needed: dict[str, dict[str, object]] = {"renew": {"ttl_seconds": 5}, "prune": {"keep": []}}
    parameters = needed.get(action, {})
    assert machine.request({"action": action, **parameters})[-1]["error"] == "fenced"


def test_an_action_without_a_lease_is_refused(machine: Machine) -> None:
    machine.do("unlock")

    assert machine.refuse("prune", keep=[])["error"] == "fenced"
    assert machine.do("unlock")["skipped"]


def test_another_nonce_under_the_same_number_is_refused(machine: Machine) -> None:
    fence = {"number": machine.number, "nonce": OTHER}

    lines = machine.request({"action": "prune", "keep": []}, fence=fence)

    assert lines[-1]["error"] == "fenced"


def test_an_expired_lease_is_taken_and_fences_its_holder(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1000, "boot", 100)
    machine.do("renew", ttl_seconds=30)
    at(monkeypatch, 1000, "boot", 129)
    assert lock(machine)["error"] == "lock-held"

    at(monkeypatch, 1000, "boot", 130)

    assert lock(machine)["type"] == "done"
    assert machine.refuse("prune", keep=[])["error"] == "fenced"


def test_a_stepped_wall_clock_neither_ends_nor_keeps_a_lease(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1000, "boot", 100)
    machine.do("renew", ttl_seconds=30)

    at(monkeypatch, 90000, "boot", 101)
    assert lock(machine)["error"] == "lock-held"
    at(monkeypatch, 5, "boot", 131)
    assert lock(machine)["type"] == "done"


def test_a_reboot_does_not_keep_a_lease_even_if_the_clock_went_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1000, "boot", 100)
    machine.do("renew", ttl_seconds=30)

    at(monkeypatch, 900, "next boot", 29)
    assert lock(machine)["error"] == "lock-held"
    at(monkeypatch, 901, "next boot", 30)
    assert lock(machine)["type"] == "done"


def test_stealing_is_journaled_without_the_proof(machine: Machine) -> None:
    steal(machine)

    records = machine.do("journal", lines=10)["records"]
    stolen = [entry for entry in records if entry["action"] == "steal"][-1]
    assert stolen["result"]["from"]["owner"] == "a"
    assert OTHER not in str(records)
