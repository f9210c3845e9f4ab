"""Work of the app itself on a real host: as a command, and as part of a deployment, once whatever happens."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .live import LIVE, back_to_live, user_of
from .live import User as LiveUser
from .own_migrator import sql

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator

    from .conftest import Lab
    from .live import Event

pytestmark = pytest.mark.lab
RELEASES = Path(__file__).resolve().parents[1] / "apps/tallies"
VERSION, NEXT = "7.1.0", "7.2.0"
TALLIES = "SELECT string_agg(concat_ws('|', name, begun, ended), ' ' ORDER BY name) FROM tallies"
LEDGER = "SELECT string_agg(concat_ws('|', release, run, state, exit), ' ' ORDER BY started_at) FROM changeover.task"
OPEN, SHUT = "INSERT INTO tally_gate VALUES (true)", "TRUNCATE tally_gate"
# Where a password must not be found: the log, what the agent keeps, files in memory.
PLACES = "journalctl --no-pager; cat /var/lib/changeover/nox-api/*.json* /var/lib/changeover/nox-api/task/*; find /run/changeover -type f -exec cat {} +"
RUN = ("task", "run", "tally")


@dataclass(frozen=True)
class Tasked:
    """A user of the lab whose app has a task."""

    user: LiveUser
    releases: Path

    def run(self, *words: str, status: int = 0) -> list[Event]:
        """Run a command; return its events."""
        done: subprocess.CompletedProcess[str] = self.user.run(*words, "--json", **self.environment)
        assert done.returncode == status, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self.user.start(*words, **self.environment)

    @property
    def environment(self) -> dict[str, str]:
        return {"CHANGEOVER_RELEASES": str(self.releases)}

    def sql(self, statement: str) -> str:
        return sql(self.user.lab, statement)

    def next_runs(self, *runs: str) -> None:
        """Have the next version run these on its way."""
        file = self.releases / "nox-api" / NEXT / "release.yml"
        first, _, _ = file.read_text().partition("\nruns:")
        listed = "".join(f"\n  - {each}" for each in runs)
        file.write_text(f"{first.rstrip()}\nruns:{listed}\n")


@pytest.fixture(scope="module")
def tasked(
    live_single: Lab, live_condition: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tasked]:
    """Deploy the version that has the task; the next one, which may run it, is there as well."""
    work = tmp_path_factory.mktemp("tasks")
    user = user_of(live_single, work, live_condition)
    shutil.copytree(RELEASES, work / "releases")
    next_one = work / "releases/nox-api" / NEXT
    shutil.copytree(RELEASES / "nox-api" / VERSION, next_one)
    shutil.rmtree(next_one / "migrations")
    file = next_one / "release.yml"
    text = file.read_text().replace(VERSION, NEXT)
    file.write_text(text.replace(f"follows: [{LIVE}]", f"follows: [{VERSION}]"))
    made = Tasked(user, work / "releases")
    made.run("deploy", VERSION, "--yes")
    yield made
    back_to_live(live_single)


@pytest.fixture(autouse=True)
def empty(tasked: Tasked) -> None:
    """Have the earlier version live, and nothing counted."""
    tasked.run("rollback", "--to", VERSION)
    tasked.sql("TRUNCATE tallies, tally_gate")
    tasked.sql("DROP TABLE IF EXISTS changeover.task")


def until(lines: Iterable[str], text: str) -> list[Event]:
    """Return events up to one that says some text."""
    events: list[Event] = []
    for line in lines:
        events.append(json.loads(line))
        if text in str(events[-1].get("says", "")):
            return events
    raise AssertionError(events)


def run_of(name: str, when: str, **more: str) -> str:
    values = ", ".join([f"name: {name}", *(f"{key}: {value}" for key, value in more.items())])
    return f"{{task: tally, id: {name}, when: {when}, with: {{{values}}}}}"


def of_type(events: list[Event], kind: str) -> list[Event]:
    return [each for each in events if each["type"] == kind]


def done_steps(events: list[Event]) -> list[str]:
    return [each["step"] for each in of_type(events, "step-done")]


def test_it_is_run_once_told_and_journaled(tasked: Tasked) -> None:
    events = tasked.run(*RUN, "--set", "name=apples", "--yes")
    (ended,) = of_type(events, "task-ended")
    told = [(each["done"], each["total"]) for each in of_type(events, "task-progress")]
    report = tasked.run("report")[-1]

    assert tasked.sql(TALLIES) == "apples|1|1"
    assert told == [(1, 2), (2, 2)]
    assert (ended["exit"], ended["answer"], ended["adopted"]) == (0, {"tallied": "apples"}, False)
    assert "as [DB_URL]" in Path(ended["kept"]).read_text()
    said = json.dumps(report)
    assert "tally name=apples gate=false exit=0 on host1 ended with exit code 0" in said
    assert "tallied" in said
    assert tasked.user.lab.ssh("host1", PLACES).count("postgresql://nox_api_app:") == 0


def test_a_dry_run_writes_nothing(tasked: Tasked) -> None:
    events = tasked.run(*RUN, "--set", "name=apples", "--dry-run")

    assert of_type(events, "task-ended")[0]["answer"] == {"would": "apples", "known": 0}
    assert tasked.sql(TALLIES) == ""


def test_its_undo_takes_back_what_it_did(tasked: Tasked) -> None:
    tasked.run(*RUN, "--set", "name=apples", "--yes")
    tasked.run(*RUN, "--set", "name=apples", "--undo", "--yes")

    assert tasked.sql(TALLIES) == ""


@pytest.mark.parametrize(
    ("words", "said", "then"),
    [
        (("task", "run", "tell"), "7.1.0 has no task tell, did you mean tally?", "task list"),
        (RUN, "tally cannot be run so: name is required", "task list"),
        ((*RUN, "--set", "name=A1"), "name does not match [a-z]+", "task list"),
        ((*RUN, "--set", "name=a", "--set", "exit=100"), "exit is more than 99", "task list"),
        ((*RUN, "--set", "nam=a"), "nam is not known, did you mean name?", "task list"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_touched(
    tasked: Tasked, words: tuple[str, ...], said: str, then: str
) -> None:
    error = tasked.run(*words, "--yes", status=2)[-1]

    assert said in error["message"]
    assert f"changeover {then}" in error["next"]
    assert tasked.sql(TALLIES) == ""


def test_one_that_fails_tells_its_last_lines_and_what_to_type(tasked: Tasked) -> None:
    words = (*RUN, "--set", "name=apples", "--set", "exit=3")
    failed = tasked.run(*words, "--yes", status=1)[-1]
    half = tasked.run(*words[:-1], "exit=75", "--yes", status=1)[-1]

    assert (failed["error"], failed["host"]) == ("TaskFailed", "host1")
    assert "ended with exit code 3" in failed["message"]
    assert failed["cause"].endswith("told to end with 3")
    assert half["error"] == "TaskHalfDone"
    assert half["next"].startswith(
        "changeover task run tally --set name=apples --set exit=75 --env "
    )
    assert half["next"].endswith(" goes on with it")


def test_one_whose_controller_is_gone_is_followed_and_another_is_refused(tasked: Tasked) -> None:
    words = (*RUN, "--set", "name=apples", "--set", "gate=true", "--yes")
    with tasked.start(*words) as first:
        until(first.stdout or (), "tally: 1 of 2")
        first.send_signal(signal.SIGINT)
        stopped = [json.loads(line) for line in first.stdout or ()][-1]
    other = tasked.run(*RUN, "--set", "name=pears", "--yes", status=5)[-1]
    with tasked.start(*words) as second:
        lines = second.stdout or ()
        until(lines, "task_run")
        tasked.sql(OPEN)
        followed = [json.loads(line) for line in lines]
        assert second.wait() == 0

    assert (first.returncode, stopped["exit"]) == (130, 130)
    assert "changeover task run tally --set name=apples --set gate=true" in stopped["next"]
    assert "tally exit=0 gate=true name=apples is under way on host1" in other["message"]
    (ended,) = of_type(followed, "task-ended")
    assert (ended["exit"], ended["adopted"]) == (0, True)
    assert tasked.sql(TALLIES) == "apples|1|1"


def test_a_release_runs_its_tasks_at_their_points_once(tasked: Tasked) -> None:
    tasked.next_runs(run_of("apples", "before_switch"), run_of("pears", "after_confirm"))
    plan = tasked.run("plan", NEXT)[-2]
    events = tasked.run("deploy", NEXT, "--yes")
    steps = done_steps(events)
    answers = [(each["what"], each["answer"]) for each in of_type(events, "task-ended")]
    again = tasked.run("plan", NEXT)

    assert [each["run"] for each in plan["situation"]["runs"]] == ["apples", "pears"]
    assert steps[steps.index("preview") :] == [
        *("preview", "try-apples", "task-apples", "switch", "smoke", "confirm", "drain"),
        *("try-pears", "task-pears", "unlock"),
    ]
    assert answers == [
        *(("dry_run", {"would": "apples", "known": 0}), ("command", {"tallied": "apples"})),
        *(("dry_run", {"would": "pears", "known": 0}), ("command", {"tallied": "pears"})),
    ]
    assert "7.2.0/pears, 7.2.0/apples are taken back by their own undo" in events[-1]["message"]
    assert tasked.sql(LEDGER) == "7.2.0|apples|done|0 7.2.0|pears|done|0"
    assert of_type(again, "plan")[0]["steps"] == []

    back = tasked.run("rollback")[-1]
    assert back["message"] == (
        "7.1.0 serves again, proved; undone by its own command: 7.2.0/pears, 7.2.0/apples"
    )
    assert tasked.sql(TALLIES) == ""
    assert tasked.sql(LEDGER) == "7.2.0|apples|undone|0 7.2.0|pears|undone|0"


def test_a_killed_deployment_is_resumed_and_its_task_is_begun_once(tasked: Tasked) -> None:
    tasked.next_runs(run_of("apples", "before_switch", gate="true"))
    with tasked.start("deploy", NEXT, "--yes") as deployment:
        until(deployment.stdout or (), "tally: 1 of 2")
        deployment.send_signal(signal.SIGKILL)
    with tasked.start("resume", "--force") as resumed:
        lines = resumed.stdout or ()
        until(lines, "waiting for task_run")
        tasked.sql(OPEN)
        events = [json.loads(line) for line in lines]
        assert resumed.wait() == 0, events

    ended = [each for each in of_type(events, "task-ended") if each["what"] == "command"]
    assert [(each["exit"], each["adopted"]) for each in ended] == [(0, True)]
    assert tasked.sql(TALLIES) == "apples|1|1"
    assert tasked.sql(LEDGER) == "7.2.0|apples|done|0"


def test_one_that_fails_before_the_switch_takes_the_deployment_back(tasked: Tasked) -> None:
    tasked.next_runs(run_of("apples", "before_switch"), run_of("pears", "before_switch", exit="3"))
    events = tasked.run("deploy", NEXT, "--yes", status=1)
    error = events[-1]

    assert error["message"].startswith("task-pears: tally name=pears gate=false exit=3 ended")
    assert "7.1.0 serves; undone by its own command: 7.2.0/pears, 7.2.0/apples" in error["message"]
    assert error["cause"].endswith("told to end with 3")
    assert "switch" not in done_steps(events)
    assert tasked.sql(TALLIES) == ""
    assert tasked.sql(LEDGER) == "7.2.0|apples|undone|0 7.2.0|pears|undone|0"
    host = of_type(tasked.run("status"), "host")[0]
    assert (host["live"].partition("-")[0], host["lock"]) == (VERSION, None)


def test_one_that_stops_after_the_confirmation_is_gone_on_with_by_resume(tasked: Tasked) -> None:
    tasked.next_runs(run_of("apples", "before_switch"), run_of("pears", "after_confirm", exit="75"))
    error = tasked.run("deploy", NEXT, "--yes", status=4)[-1]
    half = tasked.sql(LEDGER)
    tasked.sql(OPEN)
    resumed = tasked.run("resume")

    assert error["message"].startswith("7.2.0 serves and is confirmed; task-pears is red: tally")
    assert "changeover resume" in error["next"]
    assert half == "7.2.0|apples|done|0 7.2.0|pears|half done|75"
    assert "task-apples" not in done_steps(resumed)
    assert resumed[-1]["message"].startswith("7.2.0 serves; the way back: ")
    assert tasked.sql(TALLIES) == "apples|1|1 pears|2|1"
    assert tasked.sql(LEDGER) == "7.2.0|apples|done|0 7.2.0|pears|done|0"


def test_an_undo_that_fails_is_told_and_tried_again_by_the_same_command(tasked: Tasked) -> None:
    tasked.next_runs(run_of("apples", "before_switch", exit="9"))
    tasked.run("deploy", NEXT, "--yes")
    first = tasked.run("rollback", status=4)[-1]
    second = tasked.run("rollback", "--to", VERSION, status=4)[-1]

    for error in (first, second):
        assert "what 7.2.0/apples did is not taken back: undo of tally" in error["message"]
        assert f"changeover rollback --to {VERSION}" in error["next"]
    assert tasked.sql(LEDGER) == "7.2.0|apples|undoing"
