"""Planning the tasks of a release: where they come, and what the way back tells of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.plan.test_order import ids, situation, target

from changeover import steps
from changeover.plan import order, tasks
from changeover.plan.situation import TaskDue
from changeover.verdict import TaskFact, Verdict, beside_tasks

APPLES = TaskDue(
    run="apples",
    task="tally",
    summary="count",
    when="before_switch",
    values=(("name", "apples"),),
    command=("bin/tally", "--name=apples"),
    dry_run=("bin/tally", "--dry"),
    undo=("bin/tally", "--undo"),
    deadline_seconds=60,
)
PEARS = replace(APPLES, run="pears", when="after_confirm", dry_run=(), undo=())


def test_a_task_is_tried_and_done_at_its_point() -> None:
    made = order.deploy(situation(runs=(PEARS, APPLES)), target())

    assert ids(made)[5:] == [
        *("preview", "try-apples", "task-apples", "switch", "smoke", "confirm", "drain"),
        *("task-pears", "unlock"),
    ]
    done = [step for step in made.steps if isinstance(step, steps.RunTask)]
    assert [(step.run, step.undo, step.when) for step in done] == [
        ("apples", "its own undo: bin/tally --undo", "before_switch"),
        ("pears", None, "after_confirm"),
    ]
    assert done[0].values == (("name", "apples"),)


def test_what_is_due_makes_another_plan_and_one_of_what_is_live() -> None:
    made = order.deploy(situation(runs=(APPLES,)), target())
    other = order.deploy(situation(runs=(replace(APPLES, values=(("name", "plums"),)),)), target())

    assert made.digest != other.digest
    assert order.deploy(situation(live=target().colour), target()).empty
    assert not order.deploy(situation(live=target().colour, runs=(PEARS,)), target()).empty


def test_a_plan_says_what_it_runs_and_what_becomes_of_that() -> None:
    lines = list(tasks.words(situation(runs=(APPLES, PEARS))))

    assert lines[:5] == [
        "task apples: count",
        "  before users are sent to the new version; red, the deployment is taken back",
        "  command  bin/tally --name=apples",
        "  dry run  bin/tally --dry",
        "  undo     bin/tally --undo",
    ]
    assert "  dry run  none" in lines
    assert "  undo     none: what it does stays on a way back" in lines


@pytest.mark.parametrize("kind", ["instant", "revert", "restore"])
def test_what_tasks_did_is_told_and_costs_nothing_more(kind: str) -> None:
    known = Verdict(kind=kind, because="so it is")  # type: ignore[arg-type]
    facts = [TaskFact(id="8.0.0/a", undo=True), TaskFact(id="8.0.0/b", undo=True)]

    undone = beside_tasks(known, facts)
    stays = beside_tasks(known, [TaskFact(id="8.0.0/c", undo=False)])

    assert (undone.kind, stays.kind) == (kind, kind)
    assert undone.because == "so it is; 8.0.0/b, 8.0.0/a are taken back by their own undo"
    assert stays.because == ("so it is; what 8.0.0/c did stays, the version before runs with it")


def test_where_there_is_no_way_back_tasks_make_none() -> None:
    refused = Verdict(kind="refused", because="nothing was live before")

    assert beside_tasks(refused, [TaskFact(id="8.0.0/a", undo=True)]) == refused
    assert beside_tasks(refused, []) == refused
