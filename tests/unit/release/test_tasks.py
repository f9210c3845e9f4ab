"""A release's tasks: what their declaration may say, and which values they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover import bundle, release
from changeover.bundle.archive import read_manifest
from changeover.release import DeclarationInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Project

    from changeover.release import Task

VERSION = "2.0.0"
TASK = """
tasks:
  move:
    summary: moves rows
    command: [node, move.js, "{step}", "--to={to}", "--title={title}"]
    dry_run: [node, move.js, "{step}", "--to={to}", --dry]
    stays: true
    parameters:
      step: {required: true, matches: "[a-z]+"}
      to: {type: integer, default: 2, minimum: 2, maximum: 9}
      title: {summary: what it is called then}
"""


@pytest.fixture
def tasked(project: Project) -> Project:
    """Return a project with a release that has a task."""
    file = project.release_file(VERSION)
    file.write_text(file.read_text() + TASK)
    return project


def found(project: Project) -> Task:
    return release.load_release(project.root, "hello", VERSION).tasks["move"]


def refused(project: Project) -> str:
    with pytest.raises(DeclarationInvalid) as caught:
        release.load_release(project.root, "hello", VERSION)
    assert caught.value.exit_code == 2
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def test_values_stand_in_its_commands_as_whole_arguments(tasked: Project) -> None:
    task = found(tasked)
    values, problems = task.values_of({"step": "payments", "title": "a b; $(c)"})

    assert problems == []
    assert values == {"step": "payments", "to": "2", "title": "a b; $(c)"}
    assert task.arguments("command", values) == (
        *("node", "move.js", "payments", "--to=2", "--title=a b; $(c)"),
    )
    assert task.arguments("dry_run", values) == ("node", "move.js", "payments", "--to=2", "--dry")


def test_the_argument_of_a_value_that_is_left_out_is_left_out(tasked: Project) -> None:
    task = found(tasked)
    values, _ = task.values_of({"step": "payments"})

    assert task.arguments("command", values) == ("node", "move.js", "payments", "--to=2")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ["step is required"]),
        ({"step": "payments", "tu": "3"}, ["tu is not known, did you mean to?"]),
        ({"step": "Payments"}, ["step does not match [a-z]+"]),
        ({"step": "payments2"}, ["step does not match [a-z]+"]),
        ({"step": "a", "to": "x"}, ["to is not a whole number"]),
        ({"step": "a", "to": "1"}, ["to is less than 2"]),
        ({"step": "a", "to": "10"}, ["to is more than 9"]),
        ({"step": "a", "to": True}, ["to is not a whole number"]),
        (
            {"step": "a", "title": "two\nlines"},
            ["title is not one printable line of at most 4000 characters"],
        ),
        ({"to": "x", "step": "A"}, ["step does not match [a-z]+", "to is not a whole number"]),
    ],
)
def test_a_value_that_may_not_be_is_named(
    tasked: Project, given: dict[str, object], said: list[str]
) -> None:
    assert found(tasked).values_of(given)[1] == said


def test_a_value_that_would_be_taken_for_an_option_is_refused_where_it_stands_alone(
    tasked: Project,
) -> None:
    tasked.edit(tasked.release_file(VERSION), ', matches: "[a-z]+"', "")
    given = {"step": "--all", "title": "--all"}

    assert found(tasked).values_of(given)[1] == [
        "step begins with -, and would be taken for an option"
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    stays: true\n", "", "tasks.move: what a way back means"),
        (
            "    stays: true\n",
            '    stays: true\n    undo: [node, back.js, "{step}"]\n',
            "tasks.move: what a way back means",
        ),
        ('"{step}", "--to={to}", "--ti', '"{stap}", "--to={to}", "--ti', "tasks.move: command: {stap} names no parameter, did you mean step?"),
        ('"--title={title}"', '"a{title}"', "tasks.move: command: a{title}: a value is a whole argument"),
        ('"--title={title}"', '"{title}"', "tasks.move: command: {title} would move the arguments"),
        ('[node, move.js, "{step}", "--to={to}", "--title={title}"]', '["{step}", "--to={to}", "--title={title}"]', "tasks.move: command: its first word is the program"),
        (', "--title={title}"', "", "tasks.move: parameters.title: no command has {title} in it"),
        ("default: 2, minimum: 2", "default: 1, minimum: 2", "tasks.move.parameters.to: default 1 is less than 2"),
        ("to: {type: integer, default: 2", "to: {default: a", "tasks.move.parameters.to: minimum and maximum are for integers"),
        ('matches: "[a-z]+"', 'matches: "[a-z"', "tasks.move.parameters.step: matches is no regular"),
        ("step: {required: true", "step: {required: true, default: a", "tasks.move.parameters.step: with a default"),
        ("    summary: moves rows\n", "", "tasks.move.summary: missing"),
        ("    stays: true\n", "    stays: true\n    deadline_seconds: 0\n", "tasks.move.deadline_seconds: "),
        ("  move:\n", "  Move:\n", "tasks.Move"),
    ],
)  # fmt: skip
def test_a_mistake_in_it_is_named_with_its_path(
    tasked: Project, old: str, new: str, said: str
) -> None:
    tasked.edit(tasked.release_file(VERSION), old, new)

    assert refused(tasked).startswith(said)


def test_the_bundle_holds_hosts_to_the_same_and_one_without_tasks_has_no_such_entry(
    tasked: Project, signing_key: Path
) -> None:
    file = tasked.release_file(VERSION)
    built = [bundle.build(tasked.root, tasked.app, tasked.releases[VERSION], signing_key)]
    tasked.edit(file, TASK, "")
    built.append(bundle.build(tasked.root, tasked.app, tasked.releases[VERSION], signing_key))

    entry = read_manifest(built[0].path).tasks["move"]
    assert entry.command[:3] == ("node", "move.js", "{step}")
    assert entry.parameters["to"].required
    assert entry.parameters["to"].maximum == 9
    assert not entry.parameters["title"].required
    assert b'"tasks"' not in built[1].manifest.as_bytes()


RUNS = """
runs:
  - {task: move, when: before_switch, with: {step: payments}}
  - {task: move, id: again, when: after_confirm, with: {step: theme, to: 3}}
"""


@pytest.fixture
def running(tasked: Project) -> Project:
    """Return a project with a release that runs its task on its way."""
    file = tasked.release_file(VERSION)
    file.write_text(file.read_text() + RUNS)
    return tasked


def test_a_release_runs_tasks_with_values_of_its_own(running: Project) -> None:
    found = release.load_release(running.root, "hello", VERSION)

    assert [(each.name, each.task, each.when) for each in found.runs] == [
        ("move", "move", "before_switch"),
        ("again", "move", "after_confirm"),
    ]
    assert found.runs[1].values == {"step": "theme", "to": 3}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: again, ", "", "runs: two of them are move: give each an id of its own"),
        ("- {task: move, when", "- {task: mave, when", "runs: there is no task mave, did you mean move?"),
        ("with: {step: payments}", "with: {stap: payments, step: a}", "runs: move: stap is not known"),
        ("with: {step: payments}", "with: {}", "runs: move: step is required"),
        ("to: 3", "to: 30", "runs: again: to is more than 9"),
        ("to: 3", "to: '3x'", "runs: again: to is not a whole number"),
        ("when: after_confirm", "when: after", "runs.1.when: "),
        ("\nruns:", "\nstrategy: maintenance\nruns:", "runs: move: before_switch is for a version that is up"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_is_named(running: Project, old: str, new: str, said: str) -> None:
    running.edit(running.release_file(VERSION), old, new)

    assert refused(running).startswith(said)


def test_runs_need_a_database_whose_ledger_tells_what_was_done(running: Project) -> None:
    owner = running.root / "apps/hello/app.yml"
    kept = [line for line in owner.read_text().splitlines() if "database" not in line]
    owner.write_text("\n".join(kept))

    with pytest.raises(DeclarationInvalid) as caught:
        release.load_release(running.root, "hello", VERSION)

    assert "runs: the app declares no database, whose ledger tells what was done" in (
        caught.value.problems
    )
