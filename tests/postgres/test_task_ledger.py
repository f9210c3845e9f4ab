"""The ledger's row of a task that a release runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from changeover.executors import migrate
from changeover.executors.migrate.failures import RunnerFenced

if TYPE_CHECKING:
    from tests.postgres.conftest import Shop

pytestmark = pytest.mark.postgres
BEGUN = migrate.TaskBegun(
    release="2.0.0",
    run="payments",
    task="move",
    given={"step": "payments", "to": "2"},
    colour="2.0.0-aaaaaaaa",
    deployment="one",
    host="app1",
)
HALF = migrate.TaskEnded(state="half done", exit=75, seconds=2.5, answer={"users": 3})
DONE = dataclasses.replace(HALF, state="done", exit=0)
KEY = ("2.0.0", "payments")


def test_a_run_is_known_from_its_beginning_on(shop: Shop) -> None:
    assert migrate.task_rows(shop.owner) == []
    with migrate.task_turn(shop.owner, fence=3) as turn:
        turn.begin(BEGUN)
    (under_way,) = migrate.task_rows(shop.owner)
    with migrate.task_turn(shop.owner, fence=3) as turn:
        turn.end(*KEY, HALF)
    (half,) = migrate.task_rows(shop.owner)

    assert (under_way.id, under_way.state, under_way.exit) == ("2.0.0/payments", "running", None)
    assert (under_way.given, under_way.host) == ({"step": "payments", "to": "2"}, "app1")
    assert (half.state, half.exit, half.seconds) == ("half done", 75, 2.5)
    assert shop.rows("SELECT answer->>'users' FROM changeover.task") == [("3",)]


def test_one_that_is_run_again_begins_anew_in_its_row(shop: Shop) -> None:
    with migrate.task_turn(shop.owner, fence=3) as turn:
        turn.begin(BEGUN)
        turn.end(*KEY, HALF)
        turn.begin(dataclasses.replace(BEGUN, given={"step": "theme"}, deployment="two"))
    (found,) = migrate.task_rows(shop.owner)

    assert (found.state, found.exit, found.deployment) == ("running", None, "two")
    assert found.given == {"step": "theme"}
    assert shop.rows("SELECT answer FROM changeover.task") == [(None,)]


def test_what_was_done_is_undone_in_its_row(shop: Shop) -> None:
    with migrate.task_turn(shop.owner, fence=3) as turn:
        turn.begin(BEGUN)
        turn.end(*KEY, DONE)
        turn.undoing(*KEY, "two", "app2")
    (undoing,) = migrate.task_rows(shop.owner)
    with migrate.task_turn(shop.owner, fence=3) as turn:
        turn.end(*KEY, dataclasses.replace(DONE, state="undone"))
    (undone,) = migrate.task_rows(shop.owner)

    assert (undoing.state, undoing.deployment, undoing.host) == ("undoing", "two", "app2")
    assert undone.state == "undone"


def test_one_that_is_overtaken_writes_nothing(shop: Shop) -> None:
    with migrate.task_turn(shop.owner, fence=3) as turn:
        turn.begin(BEGUN)
        shop.rows("UPDATE changeover.fence SET number = 4, runner = 'newer'")
        with pytest.raises(RunnerFenced):
            turn.begin(dataclasses.replace(BEGUN, run="theme"))
        with pytest.raises(RunnerFenced):
            turn.end(*KEY, DONE)

    assert [each.state for each in migrate.task_rows(shop.owner)] == ["running"]
