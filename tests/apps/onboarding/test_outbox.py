"""The events of the outbox are sent: each at least once, in the order of its step, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.own_server import fresh_shop

from .analytics import TOKEN, Scripted, receiver, until
from .desk import MIGRATE, bring, scraped, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Server, Shop

    from .desk import Desk

pytestmark = pytest.mark.postgres
STEPS = ("payments", "theme", "product")


@pytest.fixture
def shop(postgres_server: Server) -> Iterator[Shop]:
    with fresh_shop(postgres_server) as made:
        bring(made)
        yield made


@contextlib.contextmanager
def process(shop: Shop, url: str = "") -> Iterator[Desk]:
    more = {"ANALYTICS_URL": url, "ANALYTICS_TOKEN": TOKEN}
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        serving(shop, Path(folder), more=more) as desk,
    ):
        yield desk


def waiting(shop: Shop) -> int:
    return int(shop.value("SELECT count(*) FROM outbox"))


def write(shop: Shop, step: str, count: int) -> None:
    shop.rows(
        f"""INSERT INTO outbox (kind, payload)
        SELECT 'test', jsonb_build_object('stepId', '{step}', 'number', n)
        FROM generate_series(1, {count}) n"""  # noqa: S608 - a test's own
    )


def numbers(events: list[dict[str, Any]], step: str) -> list[int]:
    return [each["data"]["number"] for each in events if each["data"]["stepId"] == step]


def test_two_processes_send_everything_each_step_in_its_order(shop: Shop) -> None:
    count = 1500
    for step in STEPS:
        write(shop, step, count)
    wanted = receiver()
    with wanted.running(), process(shop, wanted.url), process(shop, wanted.url):
        until(lambda: waiting(shop) == 0)
        found = wanted.told()

    assert found["again"] == 0
    for step in STEPS:
        assert numbers(found["events"], step) == list(range(1, count + 1))


def test_a_migration_is_told_to_analytics(shop: Shop) -> None:
    wanted = receiver()
    with wanted.running(), process(shop, wanted.url) as desk:
        desk.step("payments", weight=30)
        desk.step("theme", weight=70)
        desk.users("done", 1, 3)
        desk.migrate(newStepData={"weight": 70})
        until(lambda: waiting(shop) == 0)
        events = wanted.told()["events"]
        figures = scraped(desk)

    kinds = [each["type"] for each in events]
    assert kinds == ["onboarding.percent_changed"] * 3 + ["onboarding.step_migrated"]
    assert events[-1]["data"]["usersAffected"] == 3
    assert {each["data"]["stepId"] for each in events} == {"payments"}
    assert len({each["id"] for each in events}) == 4
    assert figures["outbox_sent_total"] == 4


def test_events_wait_for_a_receiver_that_is_down(shop: Shop) -> None:
    write(shop, "payments", 3)
    wanted = receiver()
    with process(shop, wanted.url) as desk:
        until(lambda: scraped(desk).get('outbox_failures_total{of="receiver"}', 0) >= 2)
        assert waiting(shop) == 3
        assert scraped(desk)["outbox_waiting"] == 3
        assert scraped(desk)["outbox_oldest_seconds"] > 0
        with wanted.running():
            until(lambda: waiting(shop) == 0)
            assert numbers(wanted.told()["events"], "payments") == [1, 2, 3]
        log = desk.log.read_text()

    assert log.count("[Outbox] Events are not taken") == 1
    assert log.count("[Outbox] Events are taken again") == 1
    assert TOKEN not in log


def test_what_a_process_sent_as_it_died_is_sent_again_under_the_same_ids(shop: Shop) -> None:
    write(shop, "payments", 3)
    arrived, died = threading.Event(), threading.Event()

    def answer(_: list[dict[str, Any]]) -> int:
        arrived.set()
        died.wait(60)
        return 200

    with Scripted(answer).running() as wanted:
        with contextlib.suppress(AssertionError), process(shop, wanted.url) as desk:
            assert arrived.wait(60)
            os.kill(desk.process, signal.SIGKILL)
        died.set()
        assert waiting(shop) == 3
        with process(shop, wanted.url):
            until(lambda: waiting(shop) == 0)

    first, second = wanted.batches
    assert first == second
    assert numbers(second, "payments") == [1, 2, 3]


def test_a_step_whose_events_are_refused_holds_no_other_one_up(shop: Shop) -> None:
    refused = threading.Event()

    def answer(events: list[dict[str, Any]]) -> int:
        if refused.is_set() or events[0]["data"]["stepId"] != "payments":
            return 200
        return 422

    write(shop, "payments", 2)
    write(shop, "theme", 2)
    with Scripted(answer).running() as wanted, process(shop, wanted.url) as desk:
        until(lambda: shop.rows("SELECT DISTINCT step_id FROM outbox") == [("payments",)])
        assert scraped(desk)['outbox_failures_total{of="events"}'] >= 1
        refused.set()
        until(lambda: waiting(shop) == 0)


def test_a_receiver_that_never_answers_keeps_no_process_from_ending(shop: Shop) -> None:
    write(shop, "payments", 1)
    arrived, over = threading.Event(), threading.Event()

    def answer(_: list[dict[str, Any]]) -> int:
        arrived.set()
        over.wait(60)
        return 200

    with Scripted(answer).running() as wanted:
        with process(shop, wanted.url):
            assert arrived.wait(60)
        assert waiting(shop) == 1
        over.set()


def test_events_wait_where_nobody_receives_them_and_that_is_told_once(shop: Shop) -> None:
    with process(shop) as desk:
        desk.step()
        desk.users("done", 1, 3)
        desk.migrate()
        desk.ask("GET", f"{MIGRATE}?stepId=payments")
        log = desk.log.read_text()

    assert waiting(shop) == 1
    assert log.count('[Outbox] Events wait {"reason": "ANALYTICS_URL is not set"}') == 1
