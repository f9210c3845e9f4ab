"""Rollback and the database: when a backup is swapped in, what is told, what is refused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines


def rollback(desk: Desk, to: str | None = None, backup: str | None = None) -> str:
    return str(back.rollback(desk.context, to=to, backup=backup)["message"])


def test_users_and_their_writes_leave_before_the_database_is_swapped(
    desk: Desk, machines: Machines
) -> None:
    rollback(desk, backup="b1")

    acts = [entry for entry in machines.order if entry[1] in {"revert", "stop", "backup_restore"}]
    assert {host for host, act in acts[:2] if act == "revert"} == {"one", "two"}
    assert {host for host, act in acts[2:4] if act == "stop"} == {"one", "two"}
    assert acts[4] == ("three", "backup_restore")
    assert "3 rows that b1 does not have are kept in kept" in desk.says()


def test_a_backup_is_swapped_in_where_users_are_back_already(
    desk: Desk, machines: Machines
) -> None:
    rollback(desk)
    machines.calls.clear()

    rollback(desk, to="1.0.0", backup="b1")

    assert ("three", "backup_restore") in machines.order
    assert ("one", "revert") not in machines.order


def test_a_restore_whose_rows_could_not_be_counted_is_a_restore(
    desk: Desk, machines: Machines
) -> None:
    uncounted = {"lost": None, "rows_lost": None, "uncounted": "too slow", "slots": ["cdc"]}
    machines["three"].restored |= uncounted

    assert rollback(desk, backup="b1").startswith("1.0.0 serves again, proved")

    assert "are kept in kept, and could not be counted: too slow; changeover db diff" in desk.says()
    assert "logical replication slots stay with kept: cdc" in desk.says()


def test_no_database_is_swapped_while_a_lost_host_may_write_to_it(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].reachable = False

    error = failed(lambda: rollback(desk, backup="b1"))

    assert (error.exit_code, error.host) == (6, "two")
    assert "two does not answer SSH" in error.message
    assert {name for _, name in machines.order} == {"state"}


def test_users_are_not_sent_to_a_version_whose_schema_is_gone(
    desk: Desk, machines: Machines
) -> None:
    machines.contracted = ["2.0.0/contract/001_names.sql"]

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 2
    assert error.message.startswith("1.0.0 cannot run on this database any more: 2.0.0/contract/")
    assert "changeover backup restore BACKUP --env demo, then this again" in error.hint
    assert machines.live == [NEW, NEW]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_after_a_finalize_the_way_back_is_the_version_before_and_what_keeps_it_is_told(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].placed, machines[name].running = [NEW], [NEW]
        machines[name].history = [OLD, "3.0.0-99999999"]
    machines.contracted = ["2.0.0/contract/001_names.sql"]

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 2
    assert error.message.startswith(
        "1.0.0 cannot run on this database any more: 2.0.0/contract/001_names.sql ran; the way back is "
        "restore: 2.0.0/contract/001_names.sql cannot be undone"
    )
    assert {action for _, action in machines.order} <= {"state", "backup_list"}


def test_a_backup_brings_the_schema_of_the_old_version_with_it(
    desk: Desk, machines: Machines
) -> None:
    machines.contracted = ["2.0.0/contract/001_names.sql"]

    assert rollback(desk, backup="b1").startswith("1.0.0 serves again, proved")


def test_a_ledger_that_cannot_be_asked_keeps_nobody_from_going_back(
    desk: Desk, machines: Machines
) -> None:
    machines["three"].reachable = False

    rollback(desk)

    assert machines.live == [OLD, OLD]
    assert "not checked whether 1.0.0 can still read the database: three does not" in desk.says()


def test_a_backup_for_a_version_that_was_removed_is_refused_before_the_question(
    desk: Desk, machines: Machines
) -> None:
    machines.contracted = ["2.0.0/contract/001_names.sql"]
    for name in ("one", "two"):
        machines[name].placed, machines[name].history = [NEW], []

    error = failed(lambda: back.refuse_contracted(desk.context, to="1.0.0", backup="b1"))

    assert error.exit_code == 2
    assert error.message.startswith("1.0.0 is on no host any more, and cannot run on this database")
    assert error.hint == (
        "changeover backup restore b1 --env demo, then changeover rollback --to 1.0.0 --env demo"
    )


def test_a_backup_for_a_version_that_is_placed_is_not_refused(
    desk: Desk, machines: Machines
) -> None:
    machines.contracted = ["2.0.0/contract/001_names.sql"]

    back.refuse_contracted(desk.context, to="1.0.0", backup="b1")
    back.refuse_contracted(desk.context, to=None, backup="b1")


def test_a_swap_that_failed_leaves_the_old_version_serving(desk: Desk, machines: Machines) -> None:
    three = machines["three"]
    three.on("backup_restore", lambda: three.refuse("backup-differs", "not equal"))

    error = failed(lambda: rollback(desk, backup="b1"))

    assert (error.exit_code, machines["one"].live) == (4, OLD)
    assert error.message.startswith("1.0.0 serves again on one, two; the database is not the back")
    assert error.hint == "changeover backup restore b1 --env demo"


@pytest.mark.parametrize(
    ("live", "says"),
    [
        (True, "the database is the backup's, and what that left behind is not counted yet: three"),
        (False, "whether the database is the backup's is not known, since the restore is under"),
    ],
)
def test_a_restore_that_was_cut_off_is_told_by_what_is_live(
    desk: Desk, machines: Machines, live: bool, says: str
) -> None:
    three = machines["three"]
    cut_off = {"backup": "b1", "at": "2026-03-01T03:00:00Z", "deployment": "d", "live": live}
    three.unfinished = cut_off
    three.on("backup_restore", lambda: three.refuse("query-slow", "the session is gone"))

    error = failed(lambda: rollback(desk, backup="b1"))

    assert error.exit_code == 4
    assert error.message.startswith(f"1.0.0 serves again on one, two; {says}")
    assert error.hint == "changeover backup restore b1 --env demo"


def test_what_is_live_is_left_open_where_the_database_host_is_lost_in_the_restore(
    desk: Desk, machines: Machines
) -> None:
    machines["three"].on("backup_restore", machines["three"].lose)

    error = failed(lambda: rollback(desk, backup="b1"))

    assert error.exit_code == 4
    assert "; whether the database is the backup's is not known: three" in error.message
    assert error.hint.startswith("changeover backup list --env demo tells; then changeover backup")


def test_a_database_that_is_not_swapped_is_said_and_the_next_command_swaps_it(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("revert", partial(machines["two"].refuse, "unhealthy"))

    error = failed(lambda: rollback(desk, backup="b1"))

    assert error.exit_code == 4
    assert "; the database was not swapped; not known to be back: two" in error.message
    assert "changeover rollback --to 1.0.0 --restore-db b1 --env demo" in error.hint
    assert ("three", "backup_restore") not in machines.order
