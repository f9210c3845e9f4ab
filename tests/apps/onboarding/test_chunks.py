"""A step moves to a new version chunk by chunk: whatever is killed, whoever writes, and as one transaction would."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from tests.apps.python_app import Answer
from tests.postgres.own_server import connect

from .desk import APP, MIGRATE, STEPS, alone, serving, token
from .losing import losing
from .test_meanwhile import HELD, TRIES, WRONG, beside, waiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Server

    from .desk import Desk

pytestmark = pytest.mark.postgres
USERS = 50
CHUNK = 10
WRITERS = 4
COUNTS = ("usersAffected", "progressCopied", "progressReset")
# What a migration leaves, without the moments and requests that no two have in common.
LEFT = (
    "SELECT step_id, version, title, weight, active_to IS NULL FROM onboarding_steps ORDER BY 1, 2",
    "SELECT user_id, step_id, version, status, completed_at FROM onboarding_progress ORDER BY 1, 2, 3",
    "SELECT user_id, percent FROM onboarding_users ORDER BY 1",
    "SELECT kind, payload - 'correlationId' FROM outbox ORDER BY 1, 2",
    """SELECT step_id, from_version, to_version, users_affected, progress_copied, progress_reset,
        warnings, asked_by, state FROM step_migrations ORDER BY 1""",
)
ON_NEW = (
    "SELECT user_id, status FROM onboarding_progress WHERE step_id = 'payments' AND version = 2"
)
COUNTED = """
    SELECT count(*), count(*) FILTER (WHERE status = 'done'), count(*) FILTER (WHERE status <> 'done')
    FROM onboarding_progress WHERE step_id = 'payments' AND version = 1"""
AT_IT = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"


@pytest.fixture
def half(desk: Desk) -> Desk:
    """Give users of whom some are done, some not, and some something else."""
    fill(desk)
    return desk


def fill(desk: Desk) -> None:
    desk.step("payments", weight=30)
    desk.step("theme", weight=70)
    desk.users("done", 1, 30)
    desk.users("todo", 31, 44)
    desk.users("skipped", 45, 47)
    desk.users("started", 48, USERS)
    desk.users("done", 20, 35, step="theme")
    desk.write("UPDATE onboarding_progress SET completed_at = '2025-01-01' WHERE status = 'done'")


def put(desk: Desk, user: str, status: str = "done", step: str = "payments") -> Answer:
    return desk.ask("PUT", f"{STEPS}/{step}", {"status": status}, bearer=token(user, "creator"))


def known(desk: Desk) -> Any:  # noqa: ANN401 - an answer's body
    return desk.ask("GET", f"{MIGRATE}?stepId=payments").body


def answer_of(desk: Desk, **asked: object) -> Answer:
    """Return what is answered; status 0 where nobody does any more."""
    try:
        return desk.migrate(**asked)
    except OSError:
        return Answer(0, {}, {})


@contextlib.contextmanager
def stopped(desk: Desk, **asked: object) -> Iterator[tuple[threading.Thread, list[Answer]]]:
    """Have a migration wait in its third chunk of five, of users u28 to u36 (in the order of text)."""
    with connect(desk.shop.admin) as held, held.transaction():
        held.execute("SELECT 1 FROM onboarding_users WHERE user_id = 'u30' FOR UPDATE")
        at_it = beside(lambda: answer_of(desk, chunkSize=CHUNK, retryDelayMs=1, **asked))
        waiter(desk)
        yield at_it


def ended(desk: Desk) -> None:
    """Wait until no session is at a migration any more."""
    for _ in range(TRIES):
        if desk.shop.value(AT_IT) == 0:
            return
        time.sleep(0.05)
    raise AssertionError


@pytest.mark.parametrize(
    "data", [{"title": "Configure Payment Methods"}, {"weight": 70}, {"roleVisibility": ["editor"]}]
)
def test_it_leaves_and_answers_what_one_transaction_does(
    desk: Desk, data: dict[str, object]
) -> None:
    left, told = [], []
    for size in (0, 7, 50):
        desk.write(
            """TRUNCATE onboarding_steps, onboarding_users, onboarding_progress, step_migrations,
            outbox"""
        )
        fill(desk)
        for dry in (True, False):
            body = desk.migrate(newStepData=data, toVersion=3, chunkSize=size, dryRun=dry).body
            told.append({**body["result"], "dryRun": 0, "duration": 0, "timestamp": 0})
        left.append([desk.shop.rows(each) for each in LEFT])

    assert told[0]["warnings"] == [
        "Expected version 2 but got 3. Using 3.",
        "3 users had invalid status, reset to 'todo'",
    ]
    assert all(each == told[0] for each in told[1:])
    assert left[1] == left[0]
    assert left[2] == left[0]


@pytest.mark.parametrize("what", ["app", "database"])
def test_whatever_is_killed_it_is_gone_on_with(
    half: Desk, postgres_server: Server, what: str
) -> None:
    copied = "SELECT user_id, updated_at FROM onboarding_progress WHERE version = 2"
    data = {"weight": 70}
    # What holds it up is ended with the server.
    with (
        contextlib.suppress(psycopg.OperationalError),
        stopped(half, newStepData=data, maxRetries=0) as (thread, _),
    ):
        done_before = set(half.shop.rows(copied))
        if what == "app":
            os.kill(half.process, signal.SIGKILL)
        else:
            postgres_server.stop(signal.SIGQUIT)
            postgres_server.start()
    thread.join(60)
    ended(half)

    with contextlib.ExitStack() as stack:
        again = stack.enter_context(serving(half.shop, half.sockets)) if what == "app" else half
        history = known(again)
        assert (history["activeVersion"], history["totalVersions"]) == (1, 1)
        names = ("state", "done", "total", "askedBy", "running")
        facts = [history["underWay"][name] for name in names]
        assert facts == ["copying", 2 * CHUNK, USERS, "ann", False]
        other = again.migrate(newStepData={"weight": 71})
        assert other.body["errors"][0].endswith("It was begun with another weight")
        foretold = again.migrate(dryRun=True).body["result"]
        result = again.migrate(newStepData=data).body["result"]
        assert "underWay" not in known(again)

    assert [result[name] for name in COUNTS] == [foretold[name] for name in COUNTS] == [50, 30, 20]
    assert len(done_before) == 2 * CHUNK
    assert done_before < set(half.shop.rows(copied))
    assert len(half.shop.rows(ON_NEW)) == USERS
    assert half.shop.rows(WRONG) == []


def test_of_two_administrators_one_is_told_that_the_other_is_at_it(half: Desk) -> None:
    with stopped(half) as (thread, found):
        for asked in ({}, {"chunkSize": 0}, {"toVersion": 3}, {"toVersion": 3, "chunkSize": 0}):
            other = half.migrate(**asked)
            assert (other.status, other.body["error"]) == (400, "Validation failed")
            assert other.body["errors"][0].startswith("payments is on its way from version 1 to 2")
    thread.join(60)

    assert (found[0].status, found[0].body["result"]["usersAffected"]) == (200, USERS)
    assert half.shop.value("SELECT count(*) FROM step_migrations") == 1


def test_who_writes_behind_or_before_it_is_carried_over(half: Desk) -> None:
    """u10 is copied, u50 not yet, u99 was nowhere; nobody waits who is not in the chunk."""
    writes = (
        ("u10", "todo"),
        ("u40", "done"),
        ("u50", "done"),
        ("u50", "skipped"),
        ("u99", "done"),
    )
    with stopped(half) as (thread, found):
        facts = known(half)["underWay"]
        assert (facts["done"], facts["running"]) == (2 * CHUNK, True)
        answers = [put(half, user, status) for user, status in writes]
        assert {each.body["version"] for each in answers} == {1}
    thread.join(60)

    result = found[0].body["result"]
    now = dict(half.shop.rows(ON_NEW))
    assert [now[user] for user in ("u10", "u40", "u50", "u99")] == ["todo", "done", "todo", "done"]
    assert tuple(result[name] for name in COUNTS) == half.shop.rows(COUNTED)[0] == (51, 31, 20)
    assert result["warnings"] == ["2 users had invalid status, reset to 'todo'"]
    assert half.shop.rows("SELECT * FROM step_migration_changes") == []


def test_what_users_do_all_the_while_is_on_the_new_version(desk: Desk) -> None:
    """They are at either release: 1.0.0 serves beside 2.0.0, and knows of nothing."""
    desk.step("payments", weight=30)
    desk.step("theme", weight=70)
    desk.users("todo", 1, 200)
    begun = threading.Barrier(WRITERS + 1)
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        serving(desk.shop, Path(folder), program="onboarding") as old,
        ThreadPoolExecutor(WRITERS) as pool,
    ):

        def write(writer: int) -> set[str]:
            begun.wait(60)
            told = set()
            for number in range(writer + 1, 251, WRITERS):
                for step in ("payments", "theme"):
                    answer = put((desk, old)[writer % 2], f"u{number}", step=step)
                    assert answer.status == 200, answer
                told.add(f"u{number}")
            return told

        writers = [pool.submit(write, number) for number in range(WRITERS)]
        begun.wait(60)
        answer = desk.migrate(chunkSize=3, newStepData={"weight": 70})
        acknowledged = set[str]().union(*(each.result() for each in writers))

    result = answer.body["result"]
    assert tuple(result[name] for name in COUNTS) == desk.shop.rows(COUNTED)[0]
    assert len(acknowledged) == 250
    assert dict(desk.shop.rows(ON_NEW)) == dict.fromkeys(acknowledged, "done")
    assert desk.shop.rows(WRONG) == []


def test_it_can_be_called_off(half: Desk) -> None:
    before = half.rows()
    with stopped(half) as (thread, found):
        calling, called = beside(lambda: half.ask("DELETE", f"{MIGRATE}?stepId=payments"))
        waiter(half, 2)
    for each in (thread, calling):
        each.join(60)

    # Both waited for the same lock: whoever is first, a chunk more or two are copied.
    removed = called[0].body["result"]["progressRemoved"]
    assert (called[0].status, removed in range(3 * CHUNK, USERS + 1, CHUNK)) == (200, True)
    assert (found[0].status, found[0].body["errors"]) == (
        400,
        ["it was called off meanwhile; what was copied is taken away again"],
    )
    assert half.rows() == before
    assert half.ask("DELETE", f"{MIGRATE}?stepId=payments").status == 404
    assert half.migrate(chunkSize=CHUNK).body["result"]["usersAffected"] == USERS


def test_a_newer_release_waits_for_a_migration_that_is_under_way(half: Desk) -> None:
    """It would stop where it is, when the version before ends."""
    release = yaml.safe_load((APP / "releases/2.1.0/release.yml").read_text())
    (asked,) = release["preconditions"]
    before = half.shop.rows(asked["rows"])
    with stopped(half) as (thread, found):
        told = half.shop.rows(asked["rows"])
    thread.join(60)

    assert (before, told) == ([], [("payments", 2 * CHUNK, USERS)])
    assert found[0].status == 200
    assert half.shop.rows(asked["rows"]) == []


def test_a_step_that_has_switched_cannot_be_called_off_but_finished(half: Desk) -> None:
    """Its percentages are under way: users are on the new version."""
    with connect(half.shop.admin) as held, held.transaction():
        held.execute("SELECT 1 FROM onboarding_users WHERE user_id = 'u30' FOR KEY SHARE")
        held.execute("SELECT 1 FROM onboarding_users WHERE user_id = 'u50' FOR NO KEY UPDATE")
        thread, _ = beside(lambda: answer_of(half, chunkSize=CHUNK, newStepData={"weight": 70}))
        waiter(half)
        assert known(half)["activeVersion"] == 2
        assert known(half)["underWay"]["state"] == "recalculating"
        assert put(half, "u99").body["version"] == 2
        os.kill(half.process, signal.SIGKILL)
    thread.join(60)
    ended(half)

    with serving(half.shop, half.sockets) as again:
        refused = again.ask("DELETE", f"{MIGRATE}?stepId=payments")
        assert (refused.status, refused.body["error"]) == (400, "Validation failed")
        other = again.migrate(fromVersion=2, toVersion=3)
        assert other.body["errors"] == [
            "payments is on its way from version 1 to 2: ask for just that again to finish it"
        ]
        foretold = again.migrate(dryRun=True).body["result"]
        result = again.migrate().body["result"]
    assert [result[name] for name in COUNTS] == [foretold[name] for name in COUNTS] == [50, 30, 20]
    assert half.shop.rows(WRONG) == []
    assert half.shop.rows("SELECT state FROM step_migrations") == [("done",)]


def test_a_commit_whose_answer_was_lost_is_not_done_again(postgres_server: Server) -> None:
    with losing(postgres_server.port) as way, alone(postgres_server, way.port) as desk:
        for number in range(1, 13):
            step = f"s{number}"
            desk.step(step)
            desk.users("done", 1, 5, step=step)
            way.lost.clear()
            way.at = number

            answer = desk.migrate(
                stepId=step, chunkSize=2, retryDelayMs=1, newStepData={"weight": 40}
            )

            assert way.lost.is_set()
            assert (answer.status, answer.body["result"]["progressCopied"]) == (200, 5)
        kept = "SELECT count(*) FROM onboarding_progress WHERE version = 2 GROUP BY step_id"
        assert desk.shop.rows(kept) == [(5,)] * 12
        assert desk.shop.rows(WRONG) == []
        assert desk.shop.value("SELECT count(*) FROM step_migrations WHERE state = 'done'") == 12


def test_a_new_user_whose_percentage_is_just_being_written_is_waited_for(half: Desk) -> None:
    """Nobody else could see that user, and the percentage would be that of the version before."""
    half.shop.rows(HELD)
    with connect(half.shop.admin) as held, held.transaction():
        held.execute("SELECT pg_advisory_xact_lock(42)")
        user, wrote = beside(lambda: put(half, "u0", step="theme"))
        waiter(half)
        mover, moved = beside(lambda: half.migrate(chunkSize=CHUNK, newStepData={"weight": 70}))
        waiter(half, 2)
    for each in (user, mover):
        each.join(60)

    assert (wrote[0].status, moved[0].status) == (200, 200)
    assert half.shop.rows(WRONG) == []


def test_who_writes_while_percentages_are_made_anew_is_counted(half: Desk) -> None:
    half.shop.rows(HELD)
    with connect(half.shop.admin) as first:
        first.execute("BEGIN")
        first.execute("SELECT 1 FROM onboarding_users WHERE user_id = 'u10' FOR NO KEY UPDATE")
        mover, moved = beside(lambda: half.migrate(chunkSize=CHUNK, newStepData={"weight": 70}))
        waiter(half)
        with connect(half.shop.admin) as held, held.transaction():
            held.execute("SELECT pg_advisory_xact_lock(42)")
            user, wrote = beside(lambda: put(half, "u50", step="theme"))
            waiter(half, 2)
            first.execute("ROLLBACK")
            passed = "SELECT state, passed FROM step_migrations"
            for _ in range(TRIES):
                if half.shop.rows(passed)[0] == ("recalculating", USERS + 4 * CHUNK):
                    break
                time.sleep(0.05)
            waiter(half, 2)
    for each in (user, mover):
        each.join(60)

    assert (wrote[0].status, moved[0].status) == (200, 200)
    assert half.shop.rows(WRONG) == []
