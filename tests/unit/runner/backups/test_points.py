"""The moments before migrations: what they are called, which get a name, and what happens where none can be given."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from changeover.agent.backup.actions import POINT
from changeover.errors import Failed, LockHeld
from changeover.executors import backup as executors
from changeover.executors.backup import physical as actions
from changeover.executors.backup.archive import Point
from changeover.runner.backups.points import MOST, NAME_BYTES, Points, name_of

DEPLOYMENT = "20260115T101500-3fa2c1"


def run(repository: str | None = "backup1") -> Any:  # noqa: ANN401 - as much of a run as points need
    noted: list[dict[str, Any]] = []
    host = SimpleNamespace(name=repository) if repository else None
    return SimpleNamespace(
        environment=SimpleNamespace(repository_host=host, name="demo"),
        fleet=SimpleNamespace(deployment=DEPLOYMENT),
        note=noted.append,
        noted=noted,
    )


@pytest.fixture(autouse=True)
def marks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    asked: list[tuple[str, str]] = []

    def mark(_: object, name: str, before: str) -> Point:
        asked.append((name, before))
        if "away" in name:
            raise Failed("the server went away", hint="look")
        if "taken" in name:
            raise LockHeld("another deployment took over", hint="look")
        return Point(name=name, at="2026-01-15T10:15:00Z", deployment="x", failing="late" in name)

    monkeypatch.setattr(actions, "mark", mark)
    monkeypatch.setattr(executors, "vault_of", lambda _: None)
    return asked


def test_a_name_reads_as_what_it_stands_before() -> None:
    assert (
        name_of("8.0.0/expand/001_email", DEPLOYMENT)
        == f"before-8.0.0-expand-001_email-{DEPLOYMENT}"
    )


def test_a_long_name_is_cut_and_still_nobody_elses() -> None:
    long = "2026.01.15-rc1/expand/001_add_the_address_of_users"
    names = {
        name_of(f"{before}{long}{after}", DEPLOYMENT)
        for before in ("", "undo/")
        for after in ("", "_again")
    }

    assert len(names) == 4
    for name in names:
        assert len(name.encode()) == NAME_BYTES
        assert POINT.fullmatch(name)
        assert re.match(r"before-(undo-)?2026\.01\.15-rc1", name)


def test_where_nothing_is_archived_nothing_is_named_and_nothing_said(
    marks: list[tuple[str, str]],
) -> None:
    there = run(None)
    points = Points(there, 1)

    points.before("8.0.0/expand/001_email")

    assert (marks, there.noted, points.told()) == ([], [], "")


def test_each_migration_has_its_point_and_an_undoing_one_of_its_own(
    marks: list[tuple[str, str]],
) -> None:
    there = run()
    points = Points(there, 2)

    points.before("8.0.0/expand/001_email")
    points.before("8.0.0/expand/001_email", "revert")

    assert [before for _, before in marks] == [
        "8.0.0/expand/001_email",
        "undo/8.0.0/expand/001_email",
    ]
    assert [event["name"] for event in there.noted] == [name for name, _ in marks] == points.named
    assert f"changeover backup restore --at {points.named[0]}" in there.noted[0]["says"]


@pytest.mark.parametrize(
    ("migrations", "named", "every"), [(MOST, MOST, 1), (MOST + 1, 11, 2), (10 * MOST, MOST, 10)]
)
def test_of_very_many_migrations_evenly_spread_ones_have_a_point(
    marks: list[tuple[str, str]], migrations: int, named: int, every: int
) -> None:
    points = Points(run(), migrations)

    for number in range(migrations):
        points.before(f"8.0.0/expand/{number:03}")

    assert [before for _, before in marks] == [
        f"8.0.0/expand/{number:03}" for number in range(0, migrations, every)
    ]
    assert len(points.named) == named
    assert (f"one to {every} migrations" in points.told()) is (every > 1)


def test_one_that_cannot_be_named_is_told_once_and_stops_nothing(
    marks: list[tuple[str, str]],
) -> None:
    there = run()
    points = Points(there, 2)

    points.before("away/1")
    points.before("away/2")

    (told,) = there.noted
    assert (told["type"], len(marks)) == ("warning", 1)
    assert "the server went away" in told["says"]


def test_a_log_that_does_not_arrive_is_told_once() -> None:
    there = run()
    points = Points(there, 2)

    points.before("late/1")
    points.before("late/2")

    assert [event["type"] for event in there.noted] == ["point", "warning", "point"]


def test_whose_lease_was_taken_names_and_does_nothing_more() -> None:
    with pytest.raises(LockHeld):
        Points(run(), 1).before("taken/1")
