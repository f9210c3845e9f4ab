"""Which host a task is run on, where several may have it under way or do not answer."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from changeover.executors import task as tasks
from changeover.executors.migrate import TaskRow
from changeover.executors.task import Left, Order
from changeover.remote.failures import HostUnreachable
from changeover.remote.fleet import Answers
from changeover.runner.tasks import hosts, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.runner.desk import Desk

    from changeover.errors import ChangeoverError
    from changeover.runner.run import Run

COLOUR = "2.0.0-aaaaaaaa"
ORDER = Order(colour=COLOUR, task="move", what="command", values={"to": "2"})
SAME: dict[str, Any] = {
    "deployment": "d1",
    "colour": COLOUR,
    "task": "move",
    "what": "command",
    "values": {"to": "2"},
    "by": "ann@desk",
}
OTHER = {**SAME, "values": {"to": "3"}}
ROW = TaskRow(
    release="2.0.0",
    run="payments",
    task="move",
    given={"to": "2"},
    state="running",
    exit=None,
    seconds=None,
    colour=COLOUR,
    deployment="d1",
    host="two",
    started_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
)
GONE = HostUnreachable("it does not answer", hint="start it")


@pytest.fixture
def run(desk: Desk) -> Run:
    return desk.run()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what has hosts say what was left on them; ``None`` for one that does not answer."""

    def say(**by_host: dict[str, Any] | None) -> None:
        left = {
            name: Left(host=name, running=each.get("running"), ended=each.get("ended", []))
            for name, each in by_host.items()
            if each is not None
        }
        errors: dict[str, ChangeoverError] = {
            name: GONE for name, each in by_host.items() if each is None
        }
        monkeypatch.setattr(tasks, "left", lambda *_: (left, Answers({}, errors)))

    return say


def test_the_first_host_that_answers_is_taken(run: Run, said: Callable[..., None]) -> None:
    said(one=None, two={})

    host, order, _ = hosts.chosen(run, ORDER, run.app_hosts)

    assert (host.name, order.follows) == ("two", "")


def test_the_host_where_the_same_runs_is_taken_and_it_is_followed(
    run: Run, said: Callable[..., None]
) -> None:
    said(one={}, two={"running": SAME})

    host, order, _ = hosts.chosen(run, ORDER, run.app_hosts)

    assert (host.name, order.follows) == ("two", "d1")


def test_where_another_one_runs_nothing_is_begun_on_any_host(
    run: Run, said: Callable[..., None]
) -> None:
    said(one={}, two={"running": OTHER})

    with pytest.raises(hosts.TaskUnderWay) as caught:
        hosts.chosen(run, ORDER, run.app_hosts)

    assert caught.value.exit_code == 5
    assert caught.value.message == (
        "move to=3 is under way on two, begun by ann@desk (deployment d1)"
    )


def test_where_no_host_answers_that_is_the_failure(run: Run, said: Callable[..., None]) -> None:
    said(one=None, two=None)

    with pytest.raises(HostUnreachable):
        hosts.chosen(run, ORDER, run.app_hosts)


def test_one_that_was_begun_on_a_host_that_does_not_answer_is_begun_on_no_other(
    run: Run, said: Callable[..., None]
) -> None:
    said(one={}, two=None)
    chosen = hosts.chosen(run, ORDER, run.app_hosts)

    with pytest.raises(step.TaskUnseen) as caught:
        step.met(run, ROW, *chosen)

    assert (caught.value.exit_code, caught.value.host) == (6, "two")
    assert "nobody knows whether it runs on" in caught.value.message


@pytest.mark.parametrize(("ended", "follows"), [(0, "d1"), (3, ""), (None, "")])
def test_one_that_ended_unseen_is_credited_where_it_ended_well_and_begun_anew_otherwise(
    run: Run, said: Callable[..., None], ended: int | None, follows: str
) -> None:
    said(one={}, two={"ended": [{**SAME, "exit": ended}]})
    chosen = hosts.chosen(run, ORDER, run.app_hosts)

    host, order = step.met(run, ROW, *chosen)

    assert (host.name, order.follows) == ("two", follows)
