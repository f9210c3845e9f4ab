"""A deployment that goes back by itself, over migrations that the old version cannot live with."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import plan
from tests.unit.runner.desk import failed
from tests.unit.runner.lease.test_takeover import LEASE
from tests.unit.runner.machine import MOMENT, NEW, OLD
from tests.unit.runner.undo.test_judgement import RENAME, proved

from changeover.errors import Failed, Mixed
from changeover.executors import migrate
from changeover.executors.migrate.failures import RunnerFenced
from changeover.migrations.folder import load
from changeover.outcome import Outcome
from changeover.runner import outlook
from changeover.runner.deployment import forward
from changeover.runner.fleet import survey
from changeover.runner.lease import takeover
from changeover.runner.rollback import back
from changeover.runner.undo import by_hand
from changeover.verdict import Kind, Verdict

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

FIRST, SECOND = "3.0.0/expand/001_a", "3.0.0/expand/002_b"
FILES = {
    "001_a.sql": RENAME,
    "001_a.revert.sql": "ALTER TABLE people RENAME TO users",
    "002_b.sql": "ALTER TABLE people ALTER COLUMN name SET DEFAULT ''",
    "002_b.revert.sql": "ALTER TABLE people ALTER COLUMN name DROP DEFAULT",
}
NOTHING = migrate.Rehearsals(undone={}, measured={}, now=MOMENT)
DONE = Outcome(says="done")


class Database:
    """A database in which both migrations of 3.0.0 stand; ``red`` is why undoing them fails."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.red: Exception | None = None
        self.users_were_on: list[str] = []

    def revert(self, *_: object, only: tuple[str, ...], **__: object) -> migrate.MigrateOutcome:
        if self.red:
            raise self.red
        self.users_were_on += self.machines.live
        self.machines.contracted = [each for each in self.machines.contracted if each not in only]
        return migrate.MigrateOutcome(done=only, unchanged=(), retries=0, seconds=0.0)


@pytest.fixture
def database(desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Database:
    machines.before_deployment()
    folder = desk.project.release_file("3.0.0").parent / "migrations"
    (folder / "expand").mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / "expand" / name).write_text(text)
    migrations = load(folder, "3.0.0").migrations
    proved(migrations, monkeypatch)
    machines.contracted = [each.id for each in migrations]
    made = Database(machines)
    monkeypatch.setattr("changeover.executors.migrate.revert", made.revert)
    monkeypatch.setattr("changeover.runner.deployment.safety.Points.before", lambda *_: None)
    return made


def deploy(desk: Desk, kind: Kind = "revert") -> str:
    made = plan()
    judged = Verdict(kind=kind, because="of it")
    made = replace(made, situation=replace(made.situation, verdict=judged))
    return str(forward.walk(desk.run(), made)["message"])


def ill(machines: Machines, action: str) -> None:
    two = machines["two"]
    two.on(action, partial(two.refuse, "unhealthy", "answers 503"))


def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "recall", lambda _: NOTHING)


def test_before_the_switch_it_is_undone_and_the_old_version_is_proved(
    desk: Desk, machines: Machines, database: Database
) -> None:
    ill(machines, "start")

    error = failed(lambda: deploy(desk))

    assert (error.exit_code, machines.contracted) == (1, [])
    assert error.message == (
        "start: two: answers 503; 1.0.0 serves, proved; undone, as it cannot live with it, and "
        f"nothing is lost: {FIRST}, {SECOND}"
    )
    done = [event["step"] for event in desk.events if event["type"] == "step-done"]
    assert done[-3:] == ["undo", "inside", "smoke"]
    assert database.users_were_on == [OLD, OLD]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_after_the_switch_it_is_undone_right_before_users_go_back(
    desk: Desk, machines: Machines, database: Database
) -> None:
    ill(machines, "confirm")

    error = failed(lambda: deploy(desk))

    assert (error.exit_code, machines.contracted) == (3, [])
    assert "; rolled back: 1.0.0 serves again, proved; undone, as it cannot" in error.message
    assert (database.users_were_on, machines.live) == ([NEW, NEW], [OLD, OLD])


def test_where_the_plan_found_nothing_in_the_way_users_do_not_wait_for_the_database(
    desk: Desk, machines: Machines, database: Database
) -> None:
    ill(machines, "confirm")

    error = failed(lambda: deploy(desk, "instant"))

    assert (error.exit_code, machines.contracted) == (3, [])
    assert database.users_were_on == [OLD, OLD]


@pytest.mark.parametrize(("action", "serves"), [("start", "serves"), ("confirm", "serves again")])
def test_what_is_not_proved_is_never_undone_unasked(
    desk: Desk,
    machines: Machines,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    serves: str,
) -> None:
    del database
    unproved(monkeypatch)
    ill(machines, action)

    error = failed(lambda: deploy(desk))

    assert isinstance(error, Mixed)
    assert (machines.live, machines.contracted) == ([OLD, OLD], [FIRST, SECOND])
    assert f"answers 503; 1.0.0 {serves}; 1.0.0 cannot run on this database" in error.message
    assert "the way back is restore" in error.message
    assert "half done" not in error.message
    assert "there is no proved backup from before them" in str(error.cause)
    assert "changeover backup list --env demo" in error.hint


def test_undoing_that_fails_is_told_with_the_backup(
    desk: Desk, machines: Machines, database: Database
) -> None:
    database.red = Failed("column name has null values", hint="correct the file")
    ill(machines, "confirm")

    error = failed(lambda: deploy(desk))

    assert (error.exit_code, machines.live) == (4, [OLD, OLD])
    assert f"{FIRST}, {SECOND} ran, and could not be undone: column name has null" in error.message
    assert error.hint.startswith("changeover rollback --to 1.0.0 --env demo tries it again")
    assert "correct the file" not in error.hint


def test_a_lease_that_was_taken_over_stops_it(
    desk: Desk, machines: Machines, database: Database
) -> None:
    database.red = RunnerFenced("fenced by 9", hint="look")
    ill(machines, "confirm")

    error = failed(lambda: deploy(desk))

    assert (error.exit_code, machines.live) == (5, [NEW, NEW])
    assert error.message == "stopped at confirm: fenced by 9"
    assert ("one", "revert") not in machines.order


@pytest.mark.parametrize(("kind", "exit_code"), [("instant", 3), ("revert", 4)])
def test_a_ledger_that_cannot_be_read_is_no_silence(
    desk: Desk, machines: Machines, database: Database, kind: Kind, exit_code: int
) -> None:
    del database
    two = machines["two"]

    def ill_and_without_ledger() -> None:
        machines["three"].lose()
        two.refuse("unhealthy", "answers 503")

    two.on("confirm", ill_and_without_ledger)

    error = failed(lambda: deploy(desk, kind))

    assert (error.exit_code, machines.live) == (exit_code, [OLD, OLD])
    assert "not known whether 1.0.0 can use the database as it is: three" in desk.says()


def test_an_abort_undoes_it_too(desk: Desk, machines: Machines, database: Database) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = dict(LEASE)
    machines["one"].running = machines["two"].running = [OLD, NEW]

    said = str(takeover.abort(desk.context, force=False)["message"])

    assert said.endswith(
        f"proved; undone, as it cannot live with it, and nothing is lost: {FIRST}, {SECOND}"
    )
    assert (machines.contracted, database.users_were_on) == ([], [OLD, OLD])


def test_an_abort_that_may_not_undo_it_says_what_stands_in_the_way(
    desk: Desk, machines: Machines, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    unproved(monkeypatch)
    for name in ("one", "two", "three"):
        machines[name].lock = dict(LEASE)

    error = failed(lambda: takeover.abort(desk.context, force=False))

    assert (error.exit_code, machines.contracted) == (4, [FIRST, SECOND])
    assert f"1.0.0 cannot run on this database any more: {FIRST}, {SECOND} ran" in error.message


def test_a_rollback_to_what_is_live_undoes_what_a_later_version_left(
    desk: Desk, machines: Machines, database: Database
) -> None:
    end = back.rollback(desk.context, to="1.0.0", backup=None)

    assert end["message"] == "1.0.0 serves again, proved"
    assert (machines.contracted, database.users_were_on) == ([], [OLD, OLD])
    again = back.rollback(desk.context, to="1.0.0", backup=None)
    assert again["message"] == f"nothing to do: {OLD} is live already"


def test_a_rollback_to_what_is_live_refuses_what_is_not_proved(
    desk: Desk, machines: Machines, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    unproved(monkeypatch)

    error = failed(lambda: back.rollback(desk.context, to="1.0.0", backup=None))

    assert (error.exit_code, machines.contracted) == (2, [FIRST, SECOND])
    assert "the way back is restore" in error.message


def test_by_hand_what_a_version_left_that_is_not_live_is_undone_whole(
    desk: Desk, machines: Machines, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changeover.runner.deployment.safety.backup", lambda *_: DONE)
    monkeypatch.setattr("changeover.runner.undo.trial.attempt", lambda *_: DONE)

    assert by_hand.revert(desk.context, "3.0.0") == (FIRST, SECOND)

    assert (machines.contracted, database.users_were_on) == ([], [OLD, OLD])


@pytest.mark.parametrize("known", [True, False])
def test_status_tells_what_a_later_version_left(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    del database
    if not known:
        unproved(monkeypatch)
    run = desk.run()
    states = survey.host_states(run.fleet, run.lease_hosts)

    told = list(outlook.outlook(desk.context, list(states.values())))

    found = next(each for each in told if each["type"] == "left-behind")
    assert (found["kind"], found["migrations"]) == (
        "revert" if known else "restore",
        [FIRST, SECOND],
    )
    does = "undoes it" if known else "tells the backup and its price"
    assert found["says"].startswith(
        f"1.0.0 cannot run on this database as it is: {FIRST}, {SECOND}"
    )
    assert found["says"].endswith(f"changeover rollback --to 1.0.0 --env demo {does}")
