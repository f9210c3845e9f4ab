"""What is done by hand under a lease: told to its end, whatever becomes of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.runner.desk import failed

from changeover.runner import by_hand

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines


def restore(desk: Desk, act: Callable[[], object]) -> str:
    with by_hand.leased(desk.context, "backup restore", "b1", hint="look"):
        act()
    return "the old rows are kept in hello_before"


def test_what_was_done_is_told_where_its_end_cannot_be_written_down(
    desk: Desk, machines: Machines
) -> None:
    assert restore(desk, desk.fill_disk) == "the old rows are kept in hello_before"

    assert "this goes on without a journal" in desk.says()
    assert machines["one"].lock is None


def test_nothing_is_begun_by_hand_where_nothing_can_be_written_down(
    desk: Desk, machines: Machines
) -> None:
    desk.fill_disk()

    assert failed(lambda: restore(desk, lambda: None)).exit_code == 1

    assert machines.order == []


def test_a_fault_ends_the_journal_and_gives_the_lease_back(desk: Desk, machines: Machines) -> None:
    def break_down() -> None:
        raise ValueError("nobody thought of this")

    error = failed(lambda: restore(desk, break_down))

    assert error.message == "unexpected ValueError: nobody thought of this"
    assert (desk.events[-1]["type"], desk.events[-1]["outcome"]) == ("deployment-end", "failed")
    assert machines["one"].lock is None
