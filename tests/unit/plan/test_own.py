"""Planning with an app's own migrator: it runs from placed code, and what it does is nobody's to take back."""

from __future__ import annotations

from tests.unit.plan.test_order import ids, situation, target

from changeover import steps
from changeover.plan import order
from changeover.plan.situation import OwnChange
from changeover.verdict import OwnFact, judge_own

OWN = OwnChange(id="8.0.0/migrator", host="app1", command=("npm", "run", "migrate"))


def test_the_code_is_placed_before_its_migrator_is_rehearsed_and_run() -> None:
    made = order.deploy(situation(own=OWN), target())

    assert ids(made)[2:7] == ["backup", "place", "rehearse", "migrator", "start"]
    backup, _, rehearse, migrator, _ = made.steps[2:7]
    assert isinstance(backup, steps.Backup)
    assert backup.keep
    assert rehearse.hosts == migrator.hosts == ("app1", "db")
    assert isinstance(migrator, steps.MigrateOwn)
    assert not migrator.first


def test_before_the_first_release_there_is_nothing_to_rehearse_on() -> None:
    made = order.deploy(situation(live=None, own=OWN), target())

    assert ids(made)[2:5] == ["place", "migrator", "start"]
    migrator = made.steps[3]
    assert isinstance(migrator, steps.MigrateOwn)
    assert migrator.first


def test_a_full_database_is_saved_and_rehearsed_on_though_nothing_is_live() -> None:
    made = order.deploy(situation(live=None, own=OWN, full=True), target())
    by_sql = order.deploy(
        situation(live=None, pending=("8.0.0/expand/001_a",), full=True), target()
    )

    assert ids(made)[2:7] == ["backup", "place", "rehearse", "migrator", "start"]
    migrator = made.steps[5]
    assert isinstance(migrator, steps.MigrateOwn)
    assert not migrator.first
    assert ids(by_sql)[2:6] == ["backup", "rehearse", "place", "expand"]
    assert "backup" not in ids(order.deploy(situation(live=None, full=True), target()))


def test_a_live_colour_whose_migrator_did_not_run_is_not_done() -> None:
    assert not order.deploy(situation(live=target().colour, own=OWN), target()).empty
    assert order.deploy(situation(live=target().colour), target()).empty


def own(name: str, *, undo: bool = True, proved: bool | None) -> OwnFact:
    return OwnFact(id=f"{name}/migrator", undo=undo, proved=proved)


def test_only_a_proved_undo_makes_it_more_than_the_backup() -> None:
    kinds = {
        (undo, proved): judge_own([own("8.0.0", undo=undo, proved=proved)]).kind
        for undo, proved in ((False, None), (True, None), (True, False), (True, True))
    }

    assert kinds == {
        (False, None): "restore",
        (True, None): "restore",
        (True, False): "restore",
        (True, True): "revert",
    }
    assert judge_own([own("8.0.0", proved=True)], first=True).kind == "refused"


def test_where_users_go_and_where_the_database_goes_are_told_apart() -> None:
    for proved, back in ((True, "its undo brought back"), (None, "by the backup alone")):
        said = judge_own([own("8.0.0", proved=proved)]).because
        moved, _, database = said.partition("; ")

        assert (
            moved
            == "users go back by a rename, to code that nobody tried on what 8.0.0/migrator leaves"
        )
        assert back in database


def test_one_on_top_of_another_is_taken_back_where_the_undo_of_each_is_proved() -> None:
    both = judge_own([own("7.0.0", proved=True), own("8.0.0", proved=True)])
    below = judge_own([own("7.0.0", proved=False), own("8.0.0", proved=True)])

    assert (both.kind, below.kind) == ("revert", "restore")
    assert "on what 7.0.0/migrator, 8.0.0/migrator leave" in both.because
    assert both.because.endswith("is run by hand, the newest first")
    assert below.because.endswith(
        "are lost then: the undo of 7.0.0/migrator does not bring everything back"
    )
