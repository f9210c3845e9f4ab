"""A disk that is full keeps nobody on the version that filled it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent.stage import deadman, two

from changeover.agent.system import reserve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

_sync = os.fsync


def held(machine: Machine) -> Path:
    return machine.root / reserve.PLACE


@pytest.fixture
def switched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Return two colours, the new one live and unconfirmed, on a disk with no room but what is held."""
    old, new = two(machine)
    machine.do("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)

    def full(descriptor: int) -> None:
        if held(machine).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        _sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    yield old, new
    monkeypatch.setattr(os, "fsync", _sync)


def test_room_is_held_from_the_first_lease_on(machine: Machine) -> None:
    assert held(machine).stat().st_size == reserve.BYTES
    assert held(machine).stat().st_blocks * 512 >= reserve.BYTES


def test_it_is_not_taken_again_while_it_is_needed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(machine).unlink()
    monkeypatch.setattr(reserve, "FREE_BYTES", 1 << 60)
    machine.lock()

    assert not held(machine).exists()


def test_users_are_sent_back_on_a_full_disk(machine: Machine, switched: tuple[str, str]) -> None:
    old, _ = switched
    # It takes the room, and holds it again: this disk is full for who syncs alone.
    machine.lock()
    assert held(machine).exists()

    machine.do("revert", "d2", to=old, closing_seconds=0)

    assert (machine.live, machine.do("state")["confirmed"]) == (old, old)


def test_the_dead_man_takes_users_back_on_a_full_disk(
    machine: Machine, switched: tuple[str, str]
) -> None:
    old, _ = switched

    assert deadman(machine, "d2") == 0

    assert machine.live == old


def test_what_is_no_way_back_leaves_the_room_alone(
    machine: Machine, switched: tuple[str, str]
) -> None:
    _, new = switched

    assert machine.refuse("confirm", "d2", colour=new)["error"] == "journal-unwritten"
    assert held(machine).exists()


def test_what_fails_for_another_reason_leaves_the_room_alone(machine: Machine) -> None:
    assert machine.refuse("revert", "d9")["error"] == "nothing-before"
    assert held(machine).exists()
