"""What a deployment leaves in a real database where it goes back by itself, and what undoes it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.conftest import project, signing_key
from tests.unit.runner.conftest import desk, machines
from tests.unit.runner.deploying import plan
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.executors import migrate
from changeover.executors.migrate.rehearsals import recall
from changeover.executors.migrate.status import fence, standing
from changeover.migrations.folder import load
from changeover.runner import database
from changeover.runner.deployment import forward
from changeover.runner.lease import takeover
from changeover.runner.rollback import back
from changeover.verdict import Verdict

from .own_server import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.database import Database

    from .own_server import Shop

__all__ = ["desk", "machines", "project", "signing_key"]
pytestmark = pytest.mark.postgres
BEFORE = """
    CREATE TABLE users (id int, email text NOT NULL);
    INSERT INTO users VALUES (1, 'a'), (2, 'b')
"""
RENAMED = {
    "expand/001_people.sql": "ALTER TABLE users RENAME TO people",
    "expand/001_people.revert.sql": "ALTER TABLE people RENAME TO users",
}
FREED = {
    "contract/001_free.sql": "ALTER TABLE users ALTER email DROP NOT NULL",
    "contract/001_free.revert.sql": "ALTER TABLE users ALTER email SET NOT NULL",
}


class Killed(BaseException):
    """What ends a controller in the middle: nothing catches it."""


class Place:
    """A database whose migrations of 3.0.0 ran, and were undone in a rehearsal without a loss."""

    def __init__(self, desk: Desk, shop: Shop) -> None:
        self.desk, self.shop = desk, shop

    def run(self, statement: str) -> None:
        with connect(self.shop.owner) as session:
            session.execute(statement.encode())

    def migrated(self, files: dict[str, str]) -> None:
        folder = self.desk.project.release_file("3.0.0").parent / "migrations"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        self.run(BEFORE)
        found = load(folder, "3.0.0")
        migrate.apply(self.shop.owner, found)
        undone = [
            migrate.Undo(
                subject=each.id, digest=each.undo_digest, lossless=True, because="", deployment="d"
            )
            for each in found.migrations
        ]
        migrate.remember(self.shop.owner, undone, [])

    @property
    def emails(self) -> list[str | None]:
        return [row[0] for row in self.shop.rows("SELECT email FROM users ORDER BY id")]


@pytest.fixture
def place(desk: Desk, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give the runner's hosts a database and a ledger that are real."""

    @contextlib.contextmanager
    def real(*_: object) -> Iterator[Database]:
        yield shop.owner

    monkeypatch.setattr(database, "owner_database", real)
    for act in (standing, fence, recall):
        monkeypatch.setattr(migrate, act.__name__, act)
    monkeypatch.setattr("changeover.runner.deployment.safety.Points.before", lambda *_: None)
    return Place(desk, shop)


def deploy(desk: Desk) -> None:
    """Deploy by a plan that knows what the way back is."""
    made = plan()
    known = replace(made.situation, verdict=Verdict(kind="revert", because="proved"))
    forward.walk(desk.run(), replace(made, situation=known))


def red(machines: Machines, action: str) -> None:
    machines.before_deployment()
    two = machines["two"]
    two.on(action, partial(two.refuse, "unhealthy", "answers 503"))


@pytest.mark.parametrize(("action", "exit_code"), [("start", 1), ("confirm", 3)])
def test_a_red_deployment_gives_the_old_version_its_table_back(
    desk: Desk, machines: Machines, place: Place, action: str, exit_code: int
) -> None:
    place.migrated(RENAMED)
    place.run("INSERT INTO people VALUES (3, 'since')")
    red(machines, action)

    error = failed(lambda: deploy(desk))

    assert (error.exit_code, machines.live) == (exit_code, [OLD, OLD])
    assert "undone, as it cannot live with it, and nothing is lost: 3.0.0/expand" in error.message
    assert place.emails == ["a", "b", "since"]
    assert migrate.standing(place.shop.owner) == ()


def test_a_controller_that_is_killed_while_it_goes_back_leaves_that_to_abort(
    desk: Desk, machines: Machines, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.migrated(RENAMED)
    red(machines, "confirm")

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("changeover.runner.deployment.safety.undo", die)
        with pytest.raises(Killed):
            deploy(desk)
    assert machines.live == [NEW, NEW]
    machines["two"].before.clear()

    said = str(takeover.abort(desk.context, force=True)["message"])

    assert "nothing is lost: 3.0.0/expand/001_people" in said
    assert (machines.live, place.emails) == ([OLD, OLD], ["a", "b"])


def test_a_row_that_breaks_the_way_back_is_counted_and_users_stay(
    desk: Desk, machines: Machines, place: Place
) -> None:
    place.migrated(FREED)
    place.run("INSERT INTO users VALUES (3, NULL)")

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))

    assert (error.exit_code, machines.live) == (2, [NEW, NEW])
    assert "(1 row breaks NOT NULL for users.email) cannot be undone" in error.message
    place.run("UPDATE users SET email = 'c' WHERE id = 3")
    back.rollback(desk.context, to=None, backup=None)
    assert (machines.live, place.emails) == ([OLD, OLD], ["a", "b", "c"])
    assert migrate.standing(place.shop.owner) == ()


def test_a_row_that_comes_while_it_is_undone_is_no_fault_of_the_file(
    desk: Desk, machines: Machines, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.migrated(FREED)
    row = "INSERT INTO users VALUES (3, NULL)"
    monkeypatch.setattr(
        "changeover.runner.deployment.safety.Points.before", lambda *_: place.run(row)
    )

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))

    assert (error.exit_code, machines.live) == (1, [NEW, NEW])
    assert 'column "email" of relation "users" contains null values' in error.message
    assert "(1 row breaks NOT NULL for users.email) cannot be undone" in error.message
    assert "changeover backup list --env demo" in error.hint
