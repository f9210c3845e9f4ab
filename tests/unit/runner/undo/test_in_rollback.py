"""A rollback that undoes what the live version does not run without: when, and what becomes of it where users stay."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import MOMENT, NEW, OLD

from changeover import steps
from changeover.colour import version_of
from changeover.errors import Failed, Interrupted, Mixed
from changeover.executors import migrate
from changeover.runner.rollback import back
from changeover.runner.undo import in_rollback as undone
from changeover.runner.undo import judgement as undoing
from changeover.verdict import Verdict

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

RENAME, CONTRACT = "3.0.0/expand/001_rename", "3.0.0/contract/001_names"
BOTH = ("expand", "backfill")


class Database:
    """What rollbacks do to the database, in order; an entry in ``red`` is why one of them fails."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.did: list[str] = []
        self.red: dict[str, BaseException] = {}
        self.in_the_way: tuple[str, ...] = (RENAME,)

    def found(self, *_: object) -> undoing.InTheWay:
        verdict = Verdict(kind="revert", because="proved")
        return undoing.InTheWay(
            migrations=self.in_the_way, live="3.0.0", since=MOMENT, verdict=verdict
        )

    def revert(
        self, *_: object, only: tuple[str, ...], fence: int, **__: object
    ) -> migrate.MigrateOutcome:
        if fence <= self.machines.ledger_fence:
            raise Failed(f"fenced: {fence}", hint="deploy anew")
        return self._do("undo", only)

    def apply(self, *_: object, phases: tuple[str, ...], **__: object) -> migrate.MigrateOutcome:
        assert phases == BOTH
        return self._do("again", (RENAME,))

    def _do(self, what: str, names: tuple[str, ...]) -> migrate.MigrateOutcome:
        self.did.append(f"{what} {version_of(self.machines['one'].live)}")
        if what in self.red:
            raise self.red[what]
        return migrate.MigrateOutcome(done=names, unchanged=(), retries=0, seconds=0.0)


@pytest.fixture
def database(desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database(machines)
    folder = desk.project.release_file("3.0.0").parent / "migrations/expand"
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr("changeover.runner.undo.judgement.in_the_way", made.found)
    monkeypatch.setattr("changeover.executors.migrate.revert", made.revert)
    monkeypatch.setattr("changeover.executors.migrate.apply", made.apply)
    return made


def rollback(desk: Desk) -> str:
    return str(back.rollback(desk.context, to=None, backup=None)["message"])


def test_what_could_not_be_undone_whole_is_applied_again_and_users_stay(
    desk: Desk, machines: Machines, database: Database
) -> None:
    database.red["undo"] = Failed("the lock was not to be had", hint="again")

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, machines.live) == (1, [NEW, NEW])
    assert error.message == (
        f"the lock was not to be had; users stay on 3.0.0; of {RENAME} what was undone was"
        " applied again"
    )
    assert database.did[0] == "undo 3.0.0"
    assert set(database.did[1:]) == {"again 3.0.0"}
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_a_schema_that_the_live_version_lacks_is_said_and_what_brings_it_back(
    desk: Desk, machines: Machines, database: Database
) -> None:
    database.red["undo"] = Failed("the lock was not to be had", hint="again")
    database.red["again"] = Failed("the database is gone", hint="again")

    error = failed(lambda: rollback(desk))

    assert isinstance(error, Mixed)
    assert (error.exit_code, machines.live) == (4, [NEW, NEW])
    assert "users stay on 3.0.0, which may not be able to use the database" in error.message
    assert error.message.endswith("could not be applied again: the database is gone")
    assert error.hint == (
        "changeover db migrate 3.0.0 --env demo brings it back, "
        "changeover rollback --to 1.0.0 --env demo goes on"
    )
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_users_that_stay_because_the_old_version_is_ill_get_their_schema_back(
    desk: Desk, machines: Machines, database: Database
) -> None:
    for name in ("one", "two"):
        machine = machines[name]
        machine.on("revert", partial(machine.refuse, "unhealthy"))

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, machines.live) == (1, [NEW, NEW])
    assert error.message.startswith("no host went back to 1.0.0: one: unhealthy; users stay on 3")
    assert set(database.did) == {"undo 3.0.0", "again 3.0.0"}


def test_a_schema_stays_undone_where_a_host_is_not_known_to_have_stayed(
    desk: Desk, machines: Machines, database: Database
) -> None:
    for name in ("one", "two"):
        machine = machines[name]
        machine.on("revert", machine.lose)

    error = failed(lambda: rollback(desk))

    assert error.exit_code == 4
    assert f"; {RENAME} stays undone, which 3.0.0 may not run without" in error.message
    assert set(database.did) == {"undo 3.0.0"}


def test_what_the_live_version_needs_no_more_stays_undone_for_the_next_attempt(
    desk: Desk, machines: Machines, database: Database
) -> None:
    database.in_the_way = (CONTRACT,)
    database.red["undo"] = Failed("the lock was not to be had", hint="again")

    error = failed(lambda: rollback(desk))

    assert (error.exit_code, machines.live) == (1, [NEW, NEW])
    assert error.message.endswith("this again goes on, changeover finalize runs them again")
    assert set(database.did) == {"undo 3.0.0"}


def test_the_ledger_of_a_database_host_that_was_made_anew_fences_no_way_back(
    desk: Desk, machines: Machines, database: Database
) -> None:
    machines.ledger_fence = 57

    assert rollback(desk).startswith("1.0.0 serves again, proved")

    assert (set(database.did), machines.live) == ({"undo 3.0.0"}, [OLD, OLD])


def test_it_is_told_how_old_the_proof_is_that_undoing_loses_nothing(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    at = MOMENT - dt.timedelta(days=3)
    undo = migrate.Undo(subject=RENAME, digest="", lossless=True, because="", deployment="d", at=at)
    known = migrate.Rehearsals(undone={RENAME: undo}, measured={}, now=MOMENT)
    monkeypatch.setattr("changeover.executors.migrate.recall", lambda _: known)

    rollback(desk)

    assert f"{RENAME} is undone first, which was proved on a clone 3 d ago; what" in desk.says()


def test_undoing_is_among_the_steps_that_are_told_once_it_is_known(
    desk: Desk, machines: Machines, database: Database
) -> None:
    del machines, database

    rollback(desk)

    told = next(event for event in desk.events if event["type"] == "way-back")
    assert told["steps"] == ["lock", "undo", "revert", "inside", "smoke"]
    begun = [event["step"] for event in desk.events if event["type"] == "step-intent"]
    assert begun == told["steps"]


def test_an_interrupt_says_that_the_live_version_may_lack_its_schema(
    desk: Desk, machines: Machines, database: Database
) -> None:
    database.red["undo"] = KeyboardInterrupt()

    error = failed(lambda: rollback(desk))

    assert isinstance(error, Interrupted)
    assert error.message.endswith("stays undone, without which it may not run")
    assert machines.live == [NEW, NEW]


@pytest.mark.parametrize(
    ("names", "tried"), [((RENAME,), []), ((CONTRACT,), ["start"]), ((RENAME, CONTRACT), [])]
)
def test_users_move_right_after_what_their_version_needs_is_undone(
    names: tuple[str, ...], tried: list[str]
) -> None:
    undo = steps.Undo(id="undo", hosts=("three",), version="3.0.0", migrations=names)
    placing = (
        steps.Place(id="place", hosts=("one",), colour=OLD, digest="", bundle=""),
        steps.Start(id="start", hosts=("one",), colour=OLD, seconds=1),
    )

    assert [step.id for step in undone.order(placing, undo)] == ["place", "undo", *tried]


def test_a_live_version_needs_nothing_of_what_a_later_one_left() -> None:
    left = steps.Undo(id="undo", hosts=("three",), version="1.0.0", migrations=(RENAME,))

    assert undone.needed(left) == ()
    assert undone.needed(replace(left, version="3.0.0")) == (RENAME,)
