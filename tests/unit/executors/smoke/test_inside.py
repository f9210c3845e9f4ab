"""What a host is asked before users see a colour, and what its answers are worth."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import TypeAdapter

from changeover import checks as declared
from changeover.executors.smoke import inside
from changeover.executors.smoke.values import Target
from changeover.secret import Secret

TARGET = Target(public_url="https://shop.test")
KEY = "k-1234-secret"
CHECKS: TypeAdapter[tuple[declared.Check, ...]] = TypeAdapter(declared.Checks)


def asked(text: str, *, proxied: bool = True) -> inside.Asked:
    checks = CHECKS.validate_python(yaml.safe_load(text))
    return inside.ask(checks, TARGET, {"API_KEY": Secret(KEY)}, proxied=proxied)


def answer(**more: object) -> dict[str, Any]:
    return {"status": 200, "headers": [], "body": "", "seconds": 0.1, **more}


def test_what_a_host_is_asked() -> None:
    page, sign, talk = asked(
        """
        - {id: page, request: {path: "/a b", scheme: http}}
        - id: sign
          preview: true
          socket: api
          request: {method: POST, path: "/sign?a=b c", json: {key: "${env:API_KEY}"}}
          expect: {status: 201}
        - id: talk
          websocket: {path: "/ws?k=${env:API_KEY}", turns: [{send: {key: "${env:API_KEY}"}}]}
        """
    ).parameters()

    assert page == {
        "id": "page",
        "scheme": "http",
        "method": "GET",
        "path": "/a%20b",
        "headers": {},
        "body": None,
        "seconds": 10.0,
    }
    assert (sign["path"], sign["socket"]) == ("/sign?a=b%20c", "api")
    assert sign["body"] == f'{{"key": "{KEY}"}}'
    assert sign["headers"]["Content-Type"] == "application/json"
    assert talk["websocket"]["path"] == f"/ws?k={KEY}"
    assert talk["websocket"]["turns"][0]["send"] == {"key": KEY}


def test_what_may_change_something_or_needs_another_check_is_left_for_later() -> None:
    text = """
        - {id: get, request: GET /}
        - {id: later, request: GET /later, preview: false}
        - {id: post, request: {method: POST, path: /}}
        - {id: harmless-post, request: {method: POST, path: /}, preview: true}
        - {id: elsewhere, request: {url: "https://else.test/"}}
        - {id: follows, request: {path: /, follow: true}}
        - {id: saves, request: GET /token, save: {token: "json:/token"}}
        - {id: uses, request: GET /, expect: {headers: {x-token: "${token}"}}}
        - {id: flow, flow: [{request: GET /}]}
        - {id: tls, tls: {}}
        - {id: plain, request: {path: /, scheme: http}}
        - {id: talk, websocket: {path: /ws}}
        - {id: talk-as-somebody, websocket: {path: "/ws?t=${token}"}}
        """

    through, direct = asked(text), asked(text, proxied=False)

    assert [each.id for each in through.checks] == [
        *("get", "harmless-post", "saves", "plain", "talk"),
    ]
    assert [each.id for each in direct.checks] == ["get", "harmless-post", "saves"]


def test_an_answer_is_held_against_everything_that_is_declared() -> None:
    questions = asked(
        """
        - id: page
          request: GET /
          expect:
            status: [200, 204]
            headers: {X-Frame-Options: DENY, Set-Cookie: {matches: "a=1.*b=2"}}
            contains: [hello]
        """
    )
    headers = [("x-frame-options", "DENY"), ("set-cookie", "a=1"), ("Set-Cookie", "b=2")]

    green = questions.judged([answer(headers=headers, body="hello")])
    red = questions.judged([answer(headers=headers[1:], body=f"hello, {KEY}")])

    assert green.ok
    (result,) = red.red
    assert result.message == "header X-Frame-Options is absent"
    assert result.detail[0] == "GET https://shop.test/"
    assert result.detail[1].startswith("answer: 200 in 0.10 s: hello, [REDACTED")
    assert KEY not in repr(red)


def test_no_answer_and_a_conversation_that_went_wrong_are_red() -> None:
    questions = asked("[{id: page, request: GET /}, {id: talk, websocket: {path: /ws}}]")

    outcome = questions.judged([{"failed": "no answer: timed out"}, {"fault": "turn 1: no"}])

    assert [result.message for result in outcome.red] == ["no answer: timed out", "turn 1: no"]
    assert outcome.red[1].detail == ("WS https://shop.test/ws",)
