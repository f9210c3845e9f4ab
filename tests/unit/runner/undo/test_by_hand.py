"""Undoing by hand: what is there now is backed up, and nothing is touched before a clone has shown that it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed

from changeover.executors import migrate
from changeover.executors.backup.rehearsal import Clone, Look
from changeover.outcome import Outcome
from changeover.runner.undo import by_hand as undo_by_hand
from changeover.verdict import Verdict

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.database import Database
    from changeover.steps import Backup

DROP = "3.0.0/contract/001_names"
ROWS, PRINTS = {"public.users": 4}, {"public.users": "a"}
BEFORE = Look(schema="s", rows=ROWS, fingerprints=PRINTS, sequences={"public.ids": (7, 1)})


class Clones:
    """What happens to clones and to the live database, in order."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.after = BEFORE

    def backup(self, _: object, step: Backup) -> Outcome:
        self.did.append(f"backup {step.colour}")
        return Outcome(says="proved")

    def clone(self, _: object, backup: str) -> tuple[Clone, Look]:
        return Clone(backup=backup, database="clone", restored=False, seconds=0.0), BEFORE

    def undo(self, place: Database, *_: object, **__: object) -> migrate.MigrateOutcome:
        return self._did("undo", place)

    def again(self, place: Database, *_: object, **__: object) -> migrate.MigrateOutcome:
        return self._did("again", place)

    def _did(self, what: str, place: Database) -> migrate.MigrateOutcome:
        self.did.append(f"{what} {place.name}")
        return migrate.MigrateOutcome(done=(DROP,), unchanged=(), retries=0, seconds=0.0)

    def remember(self, place: Database, *_: object, **__: object) -> None:
        self.did.append(f"remember in {place.name}")

    def look(self, *_: object) -> Look:
        return self.after

    def drop(self, *_: object) -> None:
        self.did.append("drop clone")


@pytest.fixture
def clones(desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Clones:
    """Have one contract migration of the live version stand, and its undoing be proved."""
    contract = desk.project.release_file("3.0.0").parent / "migrations/contract"
    contract.mkdir(parents=True)
    (contract / "001_names.sql").write_text("ALTER TABLE users DROP COLUMN name;\n")
    (contract / "001_names.revert.sql").write_text("ALTER TABLE users ADD COLUMN name text;\n")
    machines.contracted = [DROP]
    made = Clones()
    proved = Verdict(kind="revert", because="proved")
    monkeypatch.setattr("changeover.verdict.undoing", lambda _: proved)
    monkeypatch.setattr("changeover.runner.deployment.safety.backup", made.backup)
    monkeypatch.setattr("changeover.runner.deployment.safety.Points.before", lambda *_: None)
    for name, act in (("clone", made.clone), ("look", made.look), ("drop", made.drop)):
        monkeypatch.setattr(f"changeover.executors.backup.rehearsal.{name}", act)
    monkeypatch.setattr("changeover.executors.migrate.revert", made.undo)
    monkeypatch.setattr("changeover.executors.migrate.apply", made.again)
    monkeypatch.setattr("changeover.executors.migrate.remember", made.remember)
    return made


def test_an_undoing_by_hand_is_backed_up_and_tried_on_a_clone_first(
    desk: Desk, clones: Clones
) -> None:
    assert undo_by_hand.revert(desk.context, "3.0.0") == (DROP,)

    moves = list(dict.fromkeys(clones.did))
    assert moves == [
        "backup 3.0.0-bbbbbbbb",
        "undo clone",
        "again clone",
        "drop clone",
        "remember in hello",
        "undo hello",
    ]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (
            Look(
                schema="s",
                rows={"public.users": 3},
                fingerprints={"public.users": "b"},
                sequences=BEFORE.sequences,
            ),
            f"undoing {DROP} would lose what is there now: public.users (4 rows now, 3 kept)",
        ),
        (
            Look(schema="s", rows=ROWS, fingerprints=PRINTS, sequences={"public.ids": (6, 1)}),
            f"undoing {DROP} would lose what is there now: how far public.ids is",
        ),
        (
            Look(schema="other", rows=ROWS, fingerprints=PRINTS),
            f"undoing {DROP} and applying it again makes another schema",
        ),
    ],
)
def test_an_undoing_that_loses_what_is_there_now_touches_nothing(
    desk: Desk, machines: Machines, clones: Clones, after: Look, said: str
) -> None:
    clones.after = after

    error = failed(lambda: undo_by_hand.revert(desk.context, "3.0.0"))

    assert (error.exit_code, error.message) == (6, said)
    assert "the live database was not touched" in error.hint
    assert "undo hello" not in clones.did
    assert clones.did[-1] == "drop clone"
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]
