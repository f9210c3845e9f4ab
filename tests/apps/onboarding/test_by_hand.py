"""A step moves to a new version from a command line: as by the route, told in JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.apps.python_app import packages

from .desk import APP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .desk import Desk

pytestmark = pytest.mark.postgres
MOVE = ("--step=payments", "--from=1", "--to=2")
DEADLINE_SECONDS = 60


def typed(
    desk: Desk, *words: str, environment: Mapping[str, str] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """Run the program as a task is run; return its exit code and the objects that it told."""
    place = desk.shop.app
    known = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": f"postgresql://{place.user}:{place.password.reveal()}@{place.host}:{place.port}/{place.name}",
        "JWT_SECRET": "unused",
        "SOCKET_DIRECTORY": "/nowhere",
        "RELEASE_VERSION": "2.0.0",
        "TASK_DEPLOYMENT": "d1",
        "TASK_ASKED_BY": "ann@desk",
    }
    done = subprocess.run(
        [packages(APP), "-m", "administration.by_hand", *words],
        cwd=APP,
        env={**known, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return done.returncode, [json.loads(line) for line in lines]


@pytest.fixture
def step(desk: Desk) -> Desk:
    desk.step()
    desk.users("done", 1, 30)
    desk.users("todo", 31, 40)
    return desk


def test_it_does_what_the_route_does_and_says_how_far_it_is(step: Desk) -> None:
    data = json.dumps({"title": "Configure Payment Methods", "weight": 35})

    code, told = typed(step, *MOVE, f"--data={data}")

    assert code == 0
    assert told[:-1] == [{"done": 0, "total": 40}, {"done": 40, "total": 40}]
    result = told[-1]["result"]
    assert [result[name] for name in ("usersAffected", "progressCopied", "progressReset")] == [
        *(40, 30, 10)
    ]
    known = "SELECT title, weight, active_to IS NULL FROM onboarding_steps ORDER BY version"
    assert step.shop.rows(known) == [
        ("Configure payments", 30, False),
        ("Configure Payment Methods", 35, True),
    ]
    assert step.shop.rows("SELECT asked_by FROM step_migrations") == [("ann@desk",)]


def test_a_dry_run_foretells_the_same_and_writes_nothing(step: Desk) -> None:
    before = step.rows()
    code, told = typed(step, *MOVE, "--dry-run")
    after = step.rows()
    done = typed(step, *MOVE)[1][-1]["result"]

    assert (code, after) == (0, before)
    foretold = told[-1]["result"]
    assert foretold["dryRun"]
    for name in ("usersAffected", "progressCopied", "progressReset", "warnings"):
        assert foretold[name] == done[name]


def test_what_was_done_is_not_done_again_whoever_asks(step: Desk) -> None:
    typed(step, *MOVE)
    before = step.rows()

    for deployment in ("d1", "d2"):
        code, told = typed(step, *MOVE, environment={"TASK_DEPLOYMENT": deployment})
        assert (code, told[-1]["success"]) == (0, True)
        assert told[-1]["result"]["usersAffected"] == 40
        assert told[-1]["result"]["askedBy"] == "ann@desk"

    assert step.rows() == before


def test_what_was_done_with_other_values_is_said_and_left(step: Desk) -> None:
    typed(step, *MOVE, '--data={"weight": 35}')
    before = step.rows()

    same, other = (typed(step, *MOVE, f'--data={{"weight": {kilos}}}') for kilos in (35, 36))

    assert (same[0], same[1][-1]["result"]["warnings"]) == (0, [])
    assert (other[0], other[1][-1]["result"]["warnings"]) == (
        0,
        ["version 2 has other values than asked for, which were left: weight"],
    )
    assert step.rows() == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--step=payments", "--from=2", "--to=3"), "Step not found: payments has no version 2"),
        (("--step=theme", "--from=1", "--to=2"), "Step not found: theme has no version 1"),
        (("--step=payments", "--from=2", "--to=2"), "toVersion must be greater than fromVersion"),
        ((*MOVE, '--data={"colour": 1}'), "newStepData.colour is not known"),
        ((*MOVE, "--data=[]"), "newStepData.* must be an object"),
        ((*MOVE, "--data={"), "newStepData.* must be an object"),
    ],
)
def test_what_the_route_refuses_is_refused_and_changes_nothing(
    step: Desk, words: tuple[str, ...], error: str
) -> None:
    before = step.rows()

    code, told = typed(step, *words)

    assert (code, told[-1]["errors"]) == (1, [error])
    assert step.rows() == before


def test_a_step_that_is_not_there_may_be_well(step: Desk) -> None:
    code, told = typed(step, "--step=theme", "--from=1", "--to=2", "--absent=true")
    other = typed(step, "--step=payments", "--from=7", "--to=8", "--absent=true")[0]

    assert (code, told[-1]["message"]) == (0, "There is no step theme: nothing to take along")
    assert other == 1


def test_a_database_that_is_not_there_is_for_another_time(step: Desk) -> None:
    nowhere = "postgresql://app@/shop?host=/nowhere&connect_timeout=1"

    code, told = typed(step, *MOVE, environment={"DATABASE_URL": nowhere})

    assert code == 75
    assert told[-1]["error"] == "Migration failed"
