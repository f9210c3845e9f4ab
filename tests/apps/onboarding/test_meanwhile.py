"""Others are at it, too: users make progress, two administrators, a database that fails and comes back."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.own_server import connect

from .desk import MIGRATE, STEPS, alone, token
from .losing import losing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.apps.python_app import Answer
    from tests.postgres.own_server import Server

    from .desk import Desk

pytestmark = pytest.mark.postgres
USERS = 400
WRITERS = 6
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename LIKE 'shop%app'"
)
TRIES = 600
# Everybody's percentage, as it follows from what they have done of what is active.
WRONG = """
    SELECT u.user_id, u.percent FROM onboarding_users u
    WHERE u.percent <> (
        SELECT round(100.0 * coalesce(sum(s.weight) FILTER (WHERE p.status = 'done'), 0) / sum(s.weight))
        FROM onboarding_steps s LEFT JOIN onboarding_progress p
            ON p.user_id = u.user_id AND p.step_id = s.step_id AND p.version = s.version
        WHERE s.active_to IS NULL)"""


def waiter(desk: Desk, sessions: int = 1) -> int:
    """Return a session of the app once so many of them wait for a lock."""
    for _ in range(TRIES):
        found = desk.shop.rows(WAITING)
        if len(found) >= sessions:
            return int(found[0][0])
        time.sleep(0.05)
    raise AssertionError


def beside(work: Callable[[], Answer]) -> tuple[threading.Thread, list[Answer]]:
    found: list[Answer] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def test_what_users_do_meanwhile_is_not_lost(desk: Desk) -> None:
    desk.step("payments", weight=30)
    desk.step("theme", weight=70)
    desk.users("todo", 1, USERS)
    begun = threading.Barrier(WRITERS + 1)

    def write(writer: int) -> list[tuple[str, str]]:
        """Have users finish their steps; return what was acknowledged."""
        begun.wait(60)
        told = []
        for number in range(writer + 1, USERS + 1, WRITERS):
            for step in ("payments", "theme"):
                user = f"u{number}"
                bearer = token(user, "creator")
                answer = desk.ask("PUT", f"{STEPS}/{step}", {"status": "done"}, bearer=bearer)
                assert answer.status == 200, answer
                told.append((user, step))
        return told

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        begun.wait(60)
        versions = [
            desk.migrate(
                fromVersion=version, toVersion=version + 1, newStepData={"weight": 30 + version}
            )
            for version in range(1, 6)
        ]
        acknowledged = {each for writer in writers for each in writer.result()}

    assert [answer.status for answer in versions] == [200] * 5
    kept = """SELECT p.user_id, p.step_id FROM onboarding_progress p
        JOIN onboarding_steps s USING (step_id, version) WHERE s.active_to IS NULL AND p.status = 'done'"""
    assert len(acknowledged) == 2 * USERS
    assert set(desk.shop.rows(kept)) == acknowledged
    assert desk.shop.rows(WRONG) == []


HELD = """
    CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END$$;
    CREATE CONSTRAINT TRIGGER held AFTER INSERT ON onboarding_progress
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.step_id = 'theme') EXECUTE FUNCTION held()"""


def test_a_percentage_counts_what_its_user_is_just_writing(desk: Desk) -> None:
    desk.step("payments", weight=30)
    desk.step("theme", weight=70)
    desk.users("done", 1, 3)
    desk.shop.rows("UPDATE onboarding_users SET percent = 30")
    desk.shop.rows(HELD)
    with connect(desk.shop.admin) as held, held.transaction():
        held.execute("SELECT pg_advisory_xact_lock(42)")
        bearer = token("u1", "creator")
        put = lambda: desk.ask("PUT", f"{STEPS}/theme", {"status": "done"}, bearer=bearer)  # noqa: E731 - a request
        user, wrote = beside(put)
        waiter(desk)
        administrator, migrated = beside(lambda: desk.migrate(newStepData={"weight": 70}))
        waiter(desk, 2)
    for each in (user, administrator):
        each.join(60)

    assert (wrote[0].status, migrated[0].status) == (200, 200)
    assert desk.shop.rows(WRONG) == []
    assert desk.shop.rows("SELECT percent FROM onboarding_users ORDER BY user_id") == [
        (100,),
        (50,),
        (50,),
    ]


def test_of_two_administrators_one_is_told_that_the_other_was_first(desk: Desk) -> None:
    desk.step()
    desk.users("done", 1, 50)
    with connect(desk.shop.admin) as held, held.transaction():
        held.execute("SELECT 1 FROM onboarding_steps FOR UPDATE")
        both = [beside(desk.migrate) for _ in range(2)]
        waiter(desk)

    for thread, _ in both:
        thread.join(60)

    answers = sorted((found[0] for _, found in both), key=lambda answer: answer.status)
    assert [answer.status for answer in answers] == [200, 400]
    assert answers[1].body["error"] == "Validation failed"
    assert desk.shop.value("SELECT count(*) FROM onboarding_progress WHERE version = 2") == 50
    assert desk.shop.value("SELECT count(*) FROM step_migrations") == 1


def test_a_session_that_is_lost_is_tried_again(desk: Desk) -> None:
    desk.step()
    desk.users("done", 1, 50)
    with connect(desk.shop.admin) as held, held.transaction():
        held.execute("SELECT 1 FROM onboarding_steps FOR UPDATE")
        thread, found = beside(lambda: desk.migrate(retryDelayMs=1))
        desk.shop.rows(f"SELECT pg_terminate_backend({waiter(desk)})")
        waiter(desk)
    thread.join(60)

    assert found[0].status == 200
    assert "[Step Migration] Migration retried" in desk.log.read_text()
    assert desk.shop.value("SELECT count(*) FROM onboarding_progress WHERE version = 2") == 50


def test_no_retry_is_told_as_it_failed_and_nothing_is_there(desk: Desk) -> None:
    desk.step()
    before = desk.rows()
    with connect(desk.shop.admin) as held, held.transaction():
        held.execute("SELECT 1 FROM onboarding_steps FOR UPDATE")
        thread, found = beside(lambda: desk.migrate(maxRetries=0))
        desk.shop.rows(f"SELECT pg_terminate_backend({waiter(desk)})")
        thread.join(60)

    body: dict[str, Any] = found[0].body
    assert (found[0].status, body["error"], body["code"]) == (
        500,
        "Migration failed",
        "TRANSACTION_ERROR",
    )
    assert body["warnings"] == []
    assert desk.rows() == before


def test_what_does_not_pass_by_itself_is_not_tried_again(desk: Desk) -> None:
    desk.step()
    desk.shop.rows(f"REVOKE INSERT ON outbox FROM {desk.shop.app.user}")
    before = desk.rows()

    wish = {"stepId": "payments", "fromVersion": 1, "toVersion": 2}
    answers = [desk.ask("POST", MIGRATE, asked) for asked in (wish, [wish])]

    for each in answers:
        assert (each.status, each.body["code"]) == (500, "DATABASE_ERROR")
        assert each.body["warnings"] == []
    assert "retried" not in desk.log.read_text()
    assert desk.rows() == before


def test_a_commit_whose_answer_was_lost_is_told_as_done(
    postgres_server: Server,
) -> None:
    """Without what is written with it, the retry would be told that the version exists already."""
    with losing(postgres_server.port) as way, alone(postgres_server, way.port) as desk:
        desk.step()
        desk.users("done", 1, 50)
        way.at = 1

        answer = desk.migrate(retryDelayMs=1)

        assert way.lost.is_set()
        assert (answer.status, answer.body["result"]["usersAffected"]) == (200, 50)
        assert "[Step Migration] Migration retried" in desk.log.read_text()
        assert desk.shop.value("SELECT count(*) FROM step_migrations") == 1
