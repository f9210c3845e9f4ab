"""Rollback with what can be reached: who goes back, what is said of the rest, which exit code."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING

import pytest

from changeover.errors import Interrupted, LockHeld, Mixed
from changeover.runner.rollback import back
from changeover.ssh_failures import HostUnreachable

from .conftest import NEW, OLD, failed

if TYPE_CHECKING:
    from .conftest import Desk, Machines


def rollback(desk: Desk, to: str | None = None, backup: str | None = None) -> str:
    return str(back.rollback(desk.context, to=to, backup=backup)["message"])


def test_all_hosts_go_back_and_the_colour_that_was_left_is_stopped(
    desk: Desk, machines: Machines
) -> None:
    assert rollback(desk) == "1.0.0 serves again, proved"

    assert [machines[name].live for name in ("one", "two")] == [OLD, OLD]
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_a_rollback_needs_nothing_of_the_database_host(desk: Desk, machines: Machines) -> None:
    machines["three"].reachable = False

    said = rollback(desk)

    assert said.startswith("1.0.0 serves again, proved. Not done: the lease on three")
    assert "three does not answer SSH" in said
    assert "nothing is left to do" in said
    assert [machines[name].live for name in ("one", "two")] == [OLD, OLD]


def test_users_go_back_where_the_controller_can_write_nothing_down(
    desk: Desk, machines: Machines
) -> None:
    desk.fill_disk()

    assert rollback(desk) == "1.0.0 serves again, proved"

    assert machines.live == [OLD, OLD]
    assert desk.says().count("this goes on without a journal") == 1


def test_a_lost_app_host_is_named_and_the_others_go_back(desk: Desk, machines: Machines) -> None:
    machines["two"].reachable = False

    error = failed(lambda: rollback(desk))

    assert isinstance(error, Mixed)
    assert (error.exit_code, error.host) == (4, "two")
    assert error.message.startswith("1.0.0 serves again on one, proved; not known to be back: two")
    assert f"may still serve {NEW}" in error.message
    assert "when it answers, changeover rollback --to 1.0.0 --env demo" in error.hint
    assert (machines["one"].live, machines["one"].lock) == (OLD, None)


def test_it_is_not_done_as_long_as_a_host_is_lost(desk: Desk, machines: Machines) -> None:
    machines["two"].reachable = False
    failed(lambda: rollback(desk))

    error = failed(lambda: rollback(desk, "1.0.0"))
    assert isinstance(error, Mixed)
    assert error.message.startswith("1.0.0 serves again on one; not known to be back: two")

    machines["two"].reachable = True
    assert rollback(desk, "1.0.0") == "1.0.0 serves again, proved"
    assert machines["two"].live == OLD
    assert rollback(desk, "1.0.0") == f"nothing to do: {OLD} is live already"


def test_a_host_that_is_lost_on_the_way_does_not_keep_the_others(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("revert", lambda: setattr(two, "reachable", False))

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, error.host) == (4, "two")
    assert error.message.startswith("1.0.0 serves again on one, proved; not known to be back: two")
    assert machines["one"].running == [OLD]


def test_no_host_that_runs_the_app_answers(desk: Desk, machines: Machines) -> None:
    machines["one"].reachable = machines["two"].reachable = False

    error = failed(lambda: rollback(desk))

    assert isinstance(error, HostUnreachable)
    assert error.exit_code == 6


def test_the_second_half_of_a_half_rollback_goes_where_the_first_went(
    desk: Desk, machines: Machines
) -> None:
    one = machines["one"]
    one.live = one.confirmed = OLD
    one.history = ["0.9.0-eeeeeeee"]
    one.placed = [*one.placed, "0.9.0-eeeeeeee"]

    assert rollback(desk) == "1.0.0 serves again, proved"
    assert (one.live, machines["two"].live) == (OLD, OLD)


def test_where_no_host_goes_back_the_new_version_is_said_to_serve(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].on("revert", partial(machines[name].refuse, "unhealthy"))

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, machines["one"].live) == (4, NEW)
    assert error.message == "no host went back to 1.0.0: one: unhealthy"
    assert error.hint == f"changeover rollback --to {OLD} --env demo"


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


def test_users_go_back_from_a_version_that_this_checkout_lacks(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = "9.0.0-cccccccc"

    assert rollback(desk, "1.0.0") == "1.0.0 serves again, proved"

    assert "not checked whether 1.0.0 can still read the database: hello has no release" in (
        desk.says()
    )


def test_users_go_back_to_a_version_that_this_checkout_lacks_and_cannot_prove(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].placed, machines[name].history = ["0.9.0-99999999", NEW], ["0.9.0-99999999"]

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 4
    assert error.message.endswith("is not proved: smoke: hello has no release 0.9.0")
    assert machines.live == ["0.9.0-99999999", "0.9.0-99999999"]


def test_a_mistake_in_another_release_keeps_nobody_from_proving_the_old_version(
    desk: Desk, machines: Machines
) -> None:
    file = desk.project.release_file("3.0.0")
    file.write_text(file.read_text() + "\nnonsense: true\n")

    assert rollback(desk) == "1.0.0 serves again, proved"

    assert machines.live == [OLD, OLD]
    assert "warning: left out, so a name that only these give a value is not known: 3.0.0 (" in (
        desk.says()
    )


def test_a_version_that_there_is_no_release_of_is_named_as_such(
    desk: Desk, machines: Machines
) -> None:
    error = failed(lambda: rollback(desk, "5.0.0"))

    assert (error.exit_code, machines.live) == (2, [NEW, NEW])
    assert error.message == f"hello has no release 5.0.0, and the app hosts have only {OLD}, {NEW}"
    assert "changeover deploy 5.0.0" not in error.hint


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


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("lock", f"interrupted at lock: nothing was moved, {NEW} serves"),
        ("revert", "interrupted at revert: users may be on either version on one, two"),
        ("unlock", "interrupted at unlock: 1.0.0 serves again, proved"),
    ],
)
def test_an_interrupt_says_what_serves_and_what_goes_on(
    desk: Desk, machines: Machines, action: str, says: str
) -> None:
    def interrupt() -> None:
        machines["one"].before.clear()
        raise KeyboardInterrupt

    machines["one"].on(action, interrupt)

    error = failed(lambda: rollback(desk))

    assert isinstance(error, Interrupted)
    assert (error.exit_code, error.message) == (130, says)
    assert error.hint == f"changeover rollback --to {OLD} --env demo goes on"
    assert desk.events[-1]["outcome"] == "interrupted"


def lease(reason: str, seconds: float) -> dict[str, str]:
    """Return a lease whose controller was heard of so long ago."""
    beat = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
    return {"owner": "ann@desk", "reason": reason, "heartbeat": beat.isoformat()}


def test_a_deployment_under_way_is_not_taken_for_one_that_ended(
    desk: Desk, machines: Machines
) -> None:
    machines.before_deployment()
    for name in ("one", "two", "three"):
        machines[name].lock = lease("deploy 3.0.0", 10)

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.message == "ann@desk held the lease 10 s ago: deploy 3.0.0"
    assert "changeover abort --force --env demo" in error.hint
    assert {name for _, name in machines.order} == {"state"}


@pytest.mark.parametrize(
    ("reason", "following"),
    [
        (f"rollback {NEW} -> {OLD}", f", then changeover rollback --to {OLD} --env demo where"),
        ("backup create", " where"),
    ],
)
def test_a_lease_without_a_deployment_is_not_said_to_be_aborted(
    desk: Desk, machines: Machines, reason: str, following: str
) -> None:
    machines["one"].lock = lease(reason, 10)

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.hint == (
        'wait 45 s, or changeover lock steal --reason "it is gone" --env demo'
        f"{following} it is gone for certain"
    )


def test_a_controller_whose_clock_is_ahead_does_not_take_over_a_living_deployment(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = {**lease("deploy 3.0.0", 600), "silent": 10.0}

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.message == "ann@desk held the lease 10 s ago: deploy 3.0.0"
    assert machines.live == [NEW, NEW]


def test_the_lease_of_a_deployment_whose_controller_is_gone_is_taken_over(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = lease("deploy 3.0.0", 50)

    assert rollback(desk) == "1.0.0 serves again, proved"


def test_a_lease_that_moves_no_users_is_left_to_its_holder(desk: Desk, machines: Machines) -> None:
    machines["three"].lock = lease("backup restore b1", 50)

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, machines.live) == (5, [NEW, NEW])


def test_a_move_back_that_was_cut_off_is_ended_and_goes_no_further(
    desk: Desk, machines: Machines
) -> None:
    older = "0.9.0-99999999"
    for name in ("one", "two"):
        machine = machines[name]
        machine.live = machine.confirmed = OLD
        machine.placed, machine.history = [older, OLD, NEW], [older, OLD]
        machine.pending = {"kind": "revert", "deployment": "d", "from": NEW, "to": OLD}

    assert rollback(desk) == "1.0.0 serves again, proved"

    assert ("one", "revert") in machines.order
    assert [(machines[name].live, machines[name].pending) for name in ("one", "two")] == [
        (OLD, None),
        (OLD, None),
    ]
    assert machines["one"].running == [OLD]


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("to", [None, "1.0.0"])
def test_a_killed_rollback_is_proved_and_ended_and_goes_no_further(
    desk: Desk, machines: Machines, to: str | None, expired: bool
) -> None:
    older = "0.9.0-99999999"
    for name in ("one", "two"):
        machine = machines[name]
        machine.live = machine.confirmed = OLD
        machine.placed, machine.history = [older, OLD, NEW], [older]
    for name in ("one", "two", "three"):
        left = {**lease(f"rollback {NEW} -> {OLD}", 60), "expired": expired}
        machines[name].lock = left

    assert rollback(desk, to) == "1.0.0 serves again, proved"

    assert machines.live == [OLD, OLD]
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_the_lease_of_a_rollback_names_both_colours(desk: Desk, machines: Machines) -> None:
    reasons: list[str] = []
    one = machines["one"]
    one.on("revert", lambda: reasons.append(str((one.lock or {})["reason"])))

    rollback(desk)

    assert reasons == [f"rollback {NEW} -> {OLD}"]


def test_a_database_that_is_not_swapped_is_said_and_the_next_command_swaps_it(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("revert", partial(machines["two"].refuse, "unhealthy"))

    error = failed(lambda: rollback(desk, backup="b1"))

    assert error.exit_code == 4
    assert "; the database was not swapped; not known to be back: two" in error.message
    assert "changeover rollback --to 1.0.0 --restore-db b1 --env demo" in error.hint
    assert ("three", "backup_restore") not in machines.order


def test_a_lock_of_another_keeps_everything_as_it_is(desk: Desk, machines: Machines) -> None:
    machines["two"].lock = {"owner": "ann@desk", "reason": "finalize"}

    error = failed(lambda: rollback(desk))

    assert isinstance(error, LockHeld)
    assert error.message == "ann@desk holds the lock of hello: finalize"
    assert (machines["one"].live, machines["one"].lock) == (NEW, None)


def test_a_lease_that_is_taken_ends_the_rollback_with_the_locks_exit_code(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        refuse = partial(machines[name].refuse, "fenced", "the lease 7 was overtaken by 8 of ann")
        machines[name].on("revert", refuse)

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at revert: the lease on one is ours no more")


def test_connections_that_a_reload_met_are_told(desk: Desk, machines: Machines) -> None:
    machines["one"].left_open, machines["two"].left_open = 2, 1

    said = rollback(desk)

    assert "; 3 connections from before were still open at a reload of Nginx" in said
    assert desk.events[-1]["left_open"] == 3


BUILDS = ("1.0.0-aaaaaaaa", "1.0.0-ffffffff", "1.0.0-11111111")


def test_of_several_builds_the_one_that_was_live_last_is_taken(
    desk: Desk, machines: Machines
) -> None:
    for name in ("one", "two"):
        machines[name].placed = [*BUILDS, NEW]
        machines[name].history = [BUILDS[1], BUILDS[0]]

    rollback(desk, "1.0.0")

    assert machines["one"].live == BUILDS[0]


def test_hosts_that_disagree_on_the_build_are_not_moved(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].placed = [*BUILDS, NEW]
    machines["one"].history = [BUILDS[0], BUILDS[1]]

    error = failed(lambda: rollback(desk, "1.0.0"))

    assert error.exit_code == 2
    assert f"one: {BUILDS[1]}, two: {BUILDS[0]}" in error.message
    assert BUILDS[0] in error.hint
    rollback(desk, BUILDS[1])
    assert [machines[name].live for name in ("one", "two")] == [BUILDS[1], BUILDS[1]]
