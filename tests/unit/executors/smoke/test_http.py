"""HTTP checks against a real server behind TLS."""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import TypeAdapter

from changeover import checks as declared
from changeover.executors import smoke
from changeover.executors.smoke.values import CheckValueUnknown
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.executors.smoke.conftest import Asked, Said, Shop

    from changeover.executors.smoke.values import Target

CHECKS: TypeAdapter[tuple[declared.Check, ...]] = TypeAdapter(declared.Checks)


def read(text: str) -> tuple[declared.Check, ...]:
    return CHECKS.validate_python(yaml.safe_load(text))


def run(target: Target, text: str, **environment: str | Secret) -> smoke.SmokeOutcome:
    return smoke.apply(target, read(text), environment, lambda _: None)


def says(status: int, body: object = None, **headers: str) -> Callable[[Asked], Said]:
    return lambda _: (status, {n.replace("_", "-"): v for n, v in headers.items()}, body or {})


def test_green_check_reports_its_event(serving: Callable[..., Target], shop: Shop) -> None:
    shop.answers["/health"] = says(200, {"status": "ok", "version": "8.0.0"})
    events: list[dict[str, Any]] = []

    outcome = smoke.apply(
        serving(shop),
        read("[{id: health, request: GET /health, expect: {json: {status: ok}}}]"),
        {},
        events.append,
    )

    assert outcome.ok
    assert [(e["type"], e["id"], e["ok"]) for e in events] == [("check", "health", True)]
    assert shop.requests[0]["headers"]["host"] == f"shop.test:{shop.port}"


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("{status: 201}", "status is 200, expected 201"),
        ("{status: [201, 204]}", "status is 200, expected 201 or 204"),
        ("{json: {status: down}}", 'json /status is "ok", expected "down"'),
        ("{json: {items: [{id: 1}]}}", "json /items has 2 items, expected 1"),
        ("{json: {items: [{id: 1}, {id: 3}]}}", "json /items/1/id is 2, expected 3"),
        ("{json: {ready: 1}}", "json /ready is true, expected 1"),
        ("{paths: {/gone: {type: string}}}", "json /gone is absent"),
        ("{paths: {/status: {present: false}}}", 'json /status is "ok", expected absent'),
        ("{paths: {/items/0/id: {type: string}}}", "json /items/0/id is of type integer"),
        ("{paths: {/items/1/id: {maximum: 1}}}", "json /items/1/id is 2, expected at most 1"),
        ("{paths: {/status: {matches: '^O'}}}", "expected to match ^O"),
        ("{headers: {x-frame-options: DENY}}", "header x-frame-options is absent"),
        ("{headers: {server: {present: false}}}", "header server is"),
        ("{contains: [pong]}", 'the body does not contain "pong"'),
        ("{excludes: [status]}", 'the body contains "status"'),
    ],
)
def test_red_check_says_what_differs(
    serving: Callable[..., Target], shop: Shop, expect: str, message: str
) -> None:
    shop.answers["/x"] = says(200, {"status": "ok", "ready": True, "items": [{"id": 1}, {"id": 2}]})

    outcome = run(serving(shop), f"[{{id: x, request: GET /x, expect: {expect}}}]")

    assert not outcome.ok
    assert message in outcome.results[0].message
    assert outcome.results[0].detail[0] == f"GET https://shop.test:{shop.port}/x"


def test_plain_http_is_not_followed_unless_told(serving: Callable[..., Target], shop: Shop) -> None:
    target = serving(shop)
    shop.answers["/"] = says(301, location=f"{target.base}/there")
    shop.answers["/there"] = says(200, {"here": True})

    outcome = run(
        target,
        """
        - id: redirects
          request: {scheme: http, path: /}
          expect: {status: 301, headers: {location: "${public_url}/there"}}
        - {id: follows, request: {scheme: http, path: /, follow: true}, expect: {json: {here: true}}}
        """,
    )

    assert outcome.ok, outcome


def test_retry_only_where_a_check_says_so(serving: Callable[..., Target], shop: Shop) -> None:
    def third_time(_: object) -> Said:
        return (200 if len(shop.requests) >= 3 else 503), {}, {}

    shop.answers["/warm"] = third_time
    target = serving(shop)

    assert not run(target, "[{id: once, request: GET /warm}]").ok
    assert run(target, "[{id: w, request: GET /warm, retry: {seconds: 5, every: 0.01}}]").ok


def test_a_dripping_answer_ends_at_the_deadline(serving: Callable[..., Target], shop: Shop) -> None:
    outcome = run(serving(shop), "[{id: d, request: {path: /drip, timeout_seconds: 0.5}}]")

    assert outcome.results[0].message == "no complete answer within 0.5 s"


def test_a_slow_answer_is_red(serving: Callable[..., Target], shop: Shop) -> None:
    def slow(_: object) -> Said:
        time.sleep(0.3)
        return 200, {}, {}

    shop.answers["/slow"] = slow
    target = serving(shop)

    late = run(target, "[{id: s, request: GET /slow, expect: {within_seconds: 0.1}}]")
    never = run(target, "[{id: s, request: {path: /slow, timeout_seconds: 0.1}}]")

    assert "expected at most 0.1 s" in late.results[0].message
    assert never.results[0].message == "no complete answer within 0.1 s"


def test_nothing_listens(serving: Callable[..., Target], shop: Shop) -> None:
    target = replace(serving(shop), public_url="https://shop.test:1")

    message = run(target, "[{id: h, request: GET /}]").results[0].message

    assert message == "cannot connect to 127.0.0.1:1: Connection refused"


def test_an_unknown_variable_is_refused_before_anything_is_sent(
    serving: Callable[..., Target], shop: Shop
) -> None:
    target = serving(shop)

    with pytest.raises(CheckValueUnknown) as raised:
        run(
            target,
            '[{id: a, request: GET /}, {id: b, request: "GET /${env:API_KEY}"}]',
        )

    assert "API_KEY" in raised.value.message
    assert shop.requests == []


CANARY = "canary/plain+value=&é"


@pytest.mark.parametrize(
    "body",
    [
        {"said": CANARY},
        f"<html>{CANARY}</html>",
        {"session": {"refresh_token": "never-declared-0001"}},
        "Location: /cb?code=never-declared-0001&x=1",
        {"note": "Bearer never-declared-0001.abc"},
        {"access_token": "eyJhbGciOi.never-declared-0001.sig"},
        {"login": "captured-0001", "also": ["captured-0001"]},
    ],
)
def test_no_secret_in_any_output(serving: Callable[..., Target], shop: Shop, body: object) -> None:
    shop.answers["/token"] = says(200, {"mine": "captured-0001"})
    shop.answers["/fails"] = says(500, body)
    events: list[Any] = []
    outcome = smoke.apply(
        serving(shop),
        read(
            """
            - {id: take, request: GET /token, save: {mine: json:/mine}}
            - id: fails
              request:
                path: "/fails?key=${env:API_KEY}&mine=${mine}"
                headers: {authorization: "Bearer ${env:API_KEY}"}
              expect: {paths: {/access_token: {equals: x}}, contains: ["${mine}"]}
            """
        ),
        {"API_KEY": Secret(CANARY)},
        events.append,
    )
    with pytest.raises(smoke.SmokeRed) as raised:
        outcome.require_green("changeover smoke")

    everything = json.dumps([events, repr(outcome), raised.value.as_event()], ensure_ascii=False)
    assert shop.requests[1]["query"]["key"] == CANARY
    for form in (
        CANARY,
        urllib.parse.quote(CANARY),
        urllib.parse.quote_plus(CANARY),
        base64.b64encode(CANARY.encode()).decode(),
        json.dumps(CANARY)[1:-1],
        "never-declared-0001",
        "captured-0001",
    ):
        assert form not in everything
