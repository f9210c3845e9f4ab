"""What a JSON Web Token says is held to rules; a request is sent again until the answer fits."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from tests.unit.executors.smoke.test_http import read, run, says

from changeover.executors.smoke import order

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.executors.smoke.conftest import Asked, Said, Shop

    from changeover.executors.smoke.values import Target


def token(**claims: object) -> str:
    parts = ({"alg": "HS256"}, claims)
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*text, b"c2lnbmVk"]).decode()


def claiming(rules: str, **environment: str) -> tuple[str, dict[str, str]]:
    return f"[{{id: t, request: GET /in, expect: {{paths: {{/token: {rules}}}}}}}]", environment


@pytest.mark.parametrize(
    "rules",
    [
        "{claims: {role: user, max_agents: {type: integer, minimum: 3}}}",
        "{claims: {sub: {present: false}}}",
        "{type: string, claims: {name: '${env:NAME}'}}",
    ],
)
def test_a_token_says_what_is_expected(
    serving: Callable[..., Target], shop: Shop, rules: str
) -> None:
    shop.answers["/in"] = says(200, {"token": token(role="user", max_agents=3, name="Zoë")})
    text, environment = claiming(rules, NAME="Zoë")

    assert run(serving(shop), text, **environment).ok


@pytest.mark.parametrize(
    ("said", "rules", "message"),
    [
        (
            token(role="user"),
            "{claims: {role: admin}}",
            'claim role is "user", expected "admin"',
        ),
        (token(role="user"), "{claims: {tier: {type: string}}}", "claim tier is absent"),
        (token(n=1), "{claims: {n: {minimum: 2}}}", "claim n is 1, expected at least 2"),
        ("a.b", "{claims: {n: 1}}", "json /token is no JSON Web Token"),
        ("a.b.c", "{claims: {n: 1}}", "json /token is no JSON Web Token"),
        ("a.WzFd.c", "{claims: {n: 1}}", "json /token is no JSON Web Token"),
        (7, "{claims: {n: 1}}", "json /token is of type integer, expected string"),
    ],
)
def test_a_token_that_says_otherwise_is_red_and_not_shown(
    serving: Callable[..., Target], shop: Shop, said: object, rules: str, message: str
) -> None:
    shop.answers["/in"] = says(200, {"token": said})

    (result,) = run(serving(shop), claiming(rules)[0]).results

    assert not result.ok
    assert result.message == message
    assert "eyJ" not in "".join(result.detail)


def limited(shop: Shop, after: int) -> None:
    def answer(_: Asked) -> Said:
        return (429 if len(shop.requests) > after else 200), {}, {}

    shop.answers["/often"] = answer


def test_a_request_is_sent_again_until_the_answer_fits(
    serving: Callable[..., Target], shop: Shop
) -> None:
    limited(shop, 4)

    outcome = run(serving(shop), "[{id: o, request: GET /often, expect: {status: 429}, tries: 9}]")

    assert (outcome.ok, len(shop.requests)) == (True, 5)


def test_an_answer_that_never_fits_is_red_after_so_many_requests(
    serving: Callable[..., Target], shop: Shop
) -> None:
    limited(shop, 4)

    text = "[{id: o, request: GET /often, expect: {status: 429}, tries: 3}]"
    (result,) = run(serving(shop), text).results

    assert result.message == "after 3 requests status is 200, expected 429"
    assert len(shop.requests) == 3


def test_what_asks_often_runs_alone_and_not_in_a_preview() -> None:
    first, _ = checks = read("[{id: a, request: GET /, tries: 2}, {id: b, request: GET /}]")

    assert order.waits(checks)[1] == {0}
    assert first.id == "a"
    with pytest.raises(ValidationError, match="a preview asks once"):
        read("[{id: a, request: GET /, tries: 2, preview: true}]")
