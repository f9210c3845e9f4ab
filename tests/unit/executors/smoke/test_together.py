"""Independent checks at once: nothing is lost, and what needs an order keeps it."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.executors.smoke.test_http import read, run, says

from changeover import public_tls
from changeover.executors import smoke
from changeover.executors.smoke import order, together

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.executors.smoke.conftest import Asked, Said, Shop

    from changeover.executors.smoke.values import Target

PATIENCE = 20.0


def waits(text: str) -> list[list[int]]:
    return [sorted(each) for each in order.waits(read(text))]


def test_checks_that_only_read_run_at_once(serving: Callable[..., Target], shop: Shop) -> None:
    together_there = threading.Barrier(3)

    def met(_: Asked) -> Said:
        together_there.wait(PATIENCE)
        return 200, {}, {}

    shop.answers |= dict.fromkeys(("/a", "/b", "/c"), met)

    outcome = run(
        serving(shop),
        "[{id: a, request: GET /a}, {id: b, request: GET /b}, {id: c, flow: [{request: GET /c}]}]",
    )

    assert outcome.ok, outcome
    assert len(shop.requests) == 3


def test_each_is_reported_in_the_declared_order_and_the_red_one_named(
    serving: Callable[..., Target], shop: Shop
) -> None:
    second_ended = threading.Event()
    events: list[dict[str, Any]] = []

    def first(_: Asked) -> Said:
        assert second_ended.wait(PATIENCE)
        return 200, {}, {}

    def third(_: Asked) -> Said:
        # Asked only once one of two has ended: the first waits.
        second_ended.set()
        return 200, {}, {}

    shop.answers |= {"/1": first, "/2": says(503), "/3": third}
    checks = read("".join(f"- {{id: n{n}, request: GET /{n}}}\n" for n in (1, 2, 3)))

    outcome = smoke.apply(serving(shop), checks, {}, events.append)

    assert [event["id"] for event in events] == ["n1", "n2", "n3"]
    assert [result.id for result in outcome.results] == ["n1", "n2", "n3"]
    with pytest.raises(smoke.SmokeRed, match="1 of 3 smoke checks are red: n2"):
        outcome.require_green("")


def test_what_needs_an_order_keeps_it() -> None:
    read_only = "[{id: a, request: GET /a}, {id: b, request: GET /b}, {id: c, tls: {}}]"
    assert waits(read_only) == [[], [], []]
    assert waits(
        """
        - {id: until-it-is-there, request: GET /, retry: {seconds: 5}}
        - {id: reads, request: GET /a, save: {name: "json:/name"}}
        - {id: independent, request: GET /b}
        - {id: needs-it, request: "GET /c/${name}"}
        - {id: saves-it-anew, request: GET /d, save: {name: "json:/name"}}
        - {id: changes, request: POST /e}
        - {id: last, request: GET /f}
        """
    ) == [[], [0], [0], [0, 1], [0, 1, 3], [0, 1, 2, 3, 4], [0, 5]]


def test_who_looks_at_the_time_is_not_disturbed() -> None:
    assert waits(
        """
        - {id: a, request: GET /a}
        - {id: fast, request: GET /b, expect: {within_seconds: 1}}
        - {id: c, request: GET /c}
        """
    ) == [[], [0], [1]]


def test_a_release_knows_better() -> None:
    assert waits(
        """
        - {id: sign-in, alongside: true, flow: [{request: POST /a, save: {token: "json:/t"}}]}
        - {id: sign-in-elsewhere, alongside: true, flow: [{request: POST /b}]}
        - {id: user, request: "GET /user/${token}"}
        - {id: counts, request: GET /count, alongside: false}
        - {id: one, alongside: true, request: "POST /${unique}"}
        - {id: two, request: "GET /${unique}"}
        """
    ) == [[], [], [0], [0, 1, 2], [3], [3, 4]]


def test_no_more_than_a_few_at_once_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, under_way = threading.Event(), []

    class Watched(queue.SimpleQueue[Any]):
        def get(self, *words: Any) -> Any:  # noqa: ANN401 - the library's own
            names = [thread.name for thread in threading.enumerate()]
            under_way.append(sum(name.startswith("smoke check") for name in names))
            gate.set()
            return super().get(*words)

    def piece(number: int) -> Callable[[threading.Event], int]:
        def work(_: threading.Event) -> int:
            assert gate.wait(PATIENCE)
            return number

        return work

    monkeypatch.setattr(queue, "SimpleQueue", Watched)
    count = together.AT_ONCE * 5

    found = list(together.run([piece(n) for n in range(count)], [frozenset()] * count))

    assert found == list(range(count))
    assert under_way[0] == together.AT_ONCE


def test_what_fails_is_raised_and_nothing_begins_after_it() -> None:
    begun: list[str] = []

    def fails(_: threading.Event) -> None:
        raise SystemError("lost")

    def later(_: threading.Event) -> None:
        begun.append("later")

    with pytest.raises(SystemError, match="lost"):
        list(together.run([fails, later], [frozenset(), frozenset({0})]))
    assert begun == []


def test_an_interruption_ends_all(serving: Callable[..., Target], shop: Shop) -> None:
    asked, go_on, answered = threading.Event(), threading.Event(), threading.Event()

    def slow(_: Asked) -> Said:
        asked.set()
        go_on.wait(PATIENCE)
        answered.set()
        return 200, {}, {}

    def interrupted(_: dict[str, Any]) -> None:
        assert asked.wait(PATIENCE)
        raise KeyboardInterrupt

    shop.answers |= {"/quick": says(200), "/slow": slow, "/after": says(200)}
    checks = read(
        """
        - {id: quick, request: GET /quick}
        - {id: slow, flow: [{request: GET /slow}, {request: GET /after}]}
        - {id: last, request: POST /last}
        """
    )

    with pytest.raises(KeyboardInterrupt):
        smoke.apply(serving(shop), checks, {}, interrupted)
    go_on.set()
    assert answered.wait(PATIENCE)
    for thread in threading.enumerate():
        if thread.name.startswith("smoke check"):
            thread.join(PATIENCE)
            assert not thread.is_alive()

    assert sorted(request["path"] for request in shop.requests) == ["/quick", "/slow"]


def test_they_are_ended_from_another_thread_while_one_hangs(
    serving: Callable[..., Target], shop: Shop
) -> None:
    asked, go_on, stop = threading.Event(), threading.Event(), together.Stop()
    events: list[dict[str, Any]] = []

    def hangs(_: Asked) -> Said:
        asked.set()
        assert go_on.wait(PATIENCE)
        return 200, {}, {}

    shop.answers["/hangs"] = hangs
    checks = read("[{id: hangs, request: GET /hangs}, {id: last, request: POST /last}]")
    with ThreadPoolExecutor() as pool:
        outcome = pool.submit(smoke.apply, serving(shop), checks, {}, events.append, stop)
        assert asked.wait(PATIENCE)
        stop.give()
        error = outcome.exception(PATIENCE)
        go_on.set()

    assert isinstance(error, together.StoppedError)
    assert (events, len(shop.requests)) == ([], 1)


def test_what_was_stopped_before_does_not_begin_to_wait() -> None:
    stop = together.Stop()
    stop.give()

    with pytest.raises(together.StoppedError):
        list(together.run([lambda _: None], [frozenset()], stop))


def test_what_another_saves_meanwhile_is_masked(serving: Callable[..., Target], shop: Shop) -> None:
    shown = threading.Event()

    def red(_: Asked) -> Said:
        return 500, {}, "the word is opensesame-77"

    def saved(_: Asked) -> Said:
        assert shown.wait(PATIENCE)
        return 200, {}, {"word": "opensesame-77"}

    def last(_: Asked) -> Said:
        shown.set()
        return 200, {}, {}

    shop.answers |= {"/saved": saved, "/red": red, "/last": last}

    outcome = run(
        serving(shop),
        """
        - {id: saves, request: GET /saved, save: {word: "json:/word"}}
        - {id: red, request: GET /red, save: {x: "json:/x"}}
        - {id: last, request: GET /last, save: {x: "json:/y"}}
        """,
    )

    assert "opensesame" not in str(outcome)


def test_all_connections_share_one_context_that_trusts_the_authority_alone(
    serving: Callable[..., Target], shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts: list[ssl.SSLContext] = []
    trusting = public_tls.trusting

    def counted(authority: Path | None) -> ssl.SSLContext:
        contexts.append(trusting(authority))
        return contexts[-1]

    monkeypatch.setattr(public_tls, "trusting", counted)
    shop.answers["/"] = says(200)

    outcome = run(serving(shop), "".join(f"- {{id: n{n}, request: GET /}}\n" for n in range(6)))

    assert outcome.ok, outcome
    assert [context.cert_store_stats()["x509_ca"] for context in contexts] == [1]
