"""A revert that brings a constraint back: it holds as long as no row that was written since breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD
from tests.unit.runner.undo.test_judgement import proved

from changeover.executors import migrate
from changeover.executors.migrate.failures import StatementFailed
from changeover.migrations.folder import load
from changeover.runner.rollback import back
from changeover.runner.undo import by_hand
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.database import Database
    from changeover.executors.migrate.ledger import MigrationRow
    from changeover.migrations.tightening import Demand
    from changeover.verdict import Verdict

FREE = "3.0.0/contract/001_free"
DEMAND = "NOT NULL for users.email"
Answer = int | str | None


class Rows:
    """What the live rows answer, the last answer again and again, and what was asked and undone."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.answers: list[Answer] = [0]
        self.asked: list[str] = []
        self.undone: list[str] = []
        self.red: Exception | None = None

    def broken(self, _: object, demands: Sequence[Demand]) -> list[Answer]:
        self.asked += [each.what for each in demands]
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [answer for _ in demands]

    def revert(self, *_: object, only: tuple[str, ...], **__: object) -> migrate.MigrateOutcome:
        if self.red:
            raise self.red
        self.undone += only
        return migrate.MigrateOutcome(done=only, unchanged=(), retries=0, seconds=0.0)


def contract(desk: Desk, patch: pytest.MonkeyPatch, revert: str) -> None:
    """Have 3.0.0 end a constraint in contract, with a revert that a rehearsal proved."""
    folder: Path = desk.project.release_file("3.0.0").parent / "migrations"
    (folder / "contract").mkdir(parents=True, exist_ok=True)
    (folder / "contract/001_free.sql").write_text("ALTER TABLE users ALTER email DROP NOT NULL")
    (folder / "contract/001_free.revert.sql").write_text(revert)
    proved(load(folder, "3.0.0").migrations, patch)


@pytest.fixture
def rows(desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Rows:
    machines.contracted = [FREE]
    made = Rows(machines)
    contract(desk, monkeypatch, "ALTER TABLE users ALTER email SET NOT NULL")
    monkeypatch.setattr("changeover.executors.migrate.broken", made.broken)
    monkeypatch.setattr("changeover.executors.migrate.revert", made.revert)
    monkeypatch.setattr("changeover.runner.deployment.safety.Points.before", lambda *_: None)
    return made


def way_back(desk: Desk) -> Verdict:
    context = desk.context
    found = undoing.way_back(
        context.environment, context.declared, context.releases, "2.0.0", "3.0.0"
    )
    assert found is not None
    return found.verdict


def test_the_verdict_says_what_it_rests_on(desk: Desk, rows: Rows) -> None:
    found = way_back(desk)

    assert (found.kind, rows.asked) == ("revert", [DEMAND])
    assert found.because.endswith(f"nothing is lost, as long as no row breaks {DEMAND}")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (1, "restore", f"{FREE} (1 row breaks {DEMAND}) cannot be undone as the rows are: the way"),
        (2, "restore", f"{FREE} (2 rows break {DEMAND}) cannot be undone as the rows are"),
        ("no such column", "restore", f"whether rows break {DEMAND} cannot be asked: no such col"),
        (None, "revert", f"as long as no row breaks {DEMAND}"),
    ],
)
def test_the_live_rows_decide(desk: Desk, rows: Rows, answer: Answer, kind: str, said: str) -> None:
    rows.answers = [answer]

    found = way_back(desk)

    assert found.kind == kind
    assert said in found.because


def test_what_cannot_be_asked_is_no_way_back(
    desk: Desk, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract(desk, monkeypatch, "ALTER TABLE users ADD EXCLUDE USING gist (span WITH &&)")

    found = way_back(desk)

    assert (found.kind, rows.asked) == ("restore", [])
    assert "its revert has EXCLUDE of users, and whether rows written since break" in found.because


def test_a_rollback_that_rows_break_moves_nobody(
    desk: Desk, machines: Machines, rows: Rows
) -> None:
    rows.answers = [2]

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))

    assert (error.exit_code, machines.live, rows.undone) == (2, [NEW, NEW], [])
    assert f"(2 rows break {DEMAND}) cannot be undone as the rows are" in error.message
    assert "changeover backup list --env demo" in error.hint
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_a_row_that_comes_right_before_undoing_is_told_with_the_backup(
    desk: Desk, machines: Machines, rows: Rows
) -> None:
    rows.answers = [0, 1]
    rows.red = StatementFailed("SET NOT NULL failed", hint="correct the file", cause="23502")

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))

    assert (error.exit_code, machines.live) == (1, [NEW, NEW])
    assert f"{FREE} (1 row breaks {DEMAND}) cannot be undone as the rows are" in error.message
    assert "correct the file" not in error.hint
    assert "changeover backup list --env demo" in error.hint


def test_rows_that_break_nothing_let_it_be_undone(
    desk: Desk, machines: Machines, rows: Rows
) -> None:
    back.rollback(desk.context, to=None, backup=None)

    assert (rows.undone, machines.live) == ([FREE], [OLD, OLD])


def test_undoing_by_hand_asks_the_rows_before_anything_else(desk: Desk, rows: Rows) -> None:
    rows.answers = [2]

    error = failed(lambda: by_hand.revert(desk.context, "3.0.0"))

    assert error.exit_code == 2
    assert f"3.0.0 is not undone: {FREE} (2 rows break {DEMAND})" in error.message


def test_what_is_half_undone_may_have_what_a_query_takes_for_still_to_come(
    desk: Desk, machines: Machines, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(place: Database) -> tuple[MigrationRow, ...]:
        return tuple(replace(row, state="reverting") for row in ledger(place))

    ledger = machines.ledger
    monkeypatch.setattr("changeover.executors.migrate.standing", half)
    rows.answers = ["no such column", 1]

    assert way_back(desk).kind == "revert"
    assert way_back(desk).kind == "restore"
