"""Checks of several requests: what one answers is carried to the next, and to later checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.executors.smoke.test_http import run, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.executors.smoke.conftest import Asked, Said, Shop

    from changeover.executors.smoke.values import Target

SIGN_IN = """
- id: oauth
  flow:
    - request: GET /api/auth/google/url
      expect: {paths: {/url: {query: {redirect_uri: "${public_url}/cb", state: {matches: "^.{8,}$"}}}}}
      save: {authorize: "json:/url", nonce: "cookie:nonce"}
    - request: {url: "${authorize}"}
      expect: {status: 302}
      save: {code: "query:code", state: "query:state", location: "header:Location"}
    - request: {method: POST, path: /cb, json: {code: "${code}", state: "${state}"}}
      save: {access: "json:/access_token"}
    - request: {path: /api/user/profile, headers: {authorization: "Bearer ${access}"}}
      expect: {json: {provider: google}}
      save: {id: json:/id}
- id: later-check-uses-the-capture
  request: {method: POST, path: /cb, json: {id: "${id}", text: "n${id}"}}
"""


def provider(shop: Shop, base: str) -> list[object]:
    """Let the shop sign users in through a provider; return what it will have been sent."""
    sent: list[object] = []
    login = f"https://login.test:{shop.port}/authorize"

    def authorize(asked: Asked) -> Said:
        back = f"{asked['query']['redirect_uri']}?code=c0de-123&state={asked['query']['state']}"
        return 302, {"location": back}, {}

    def callback(asked: Asked) -> Said:
        sent.append((asked["body"], asked["headers"].get("cookie")))
        return 200, {}, {"access_token": "acc-ess-1", "refresh_token": "ref-resh-1"}

    def profile(asked: Asked) -> Said:
        sent.append(asked["headers"].get("authorization"))
        return 200, {}, {"provider": "google", "id": 7}

    shop.answers |= {
        "/api/auth/google/url": says(
            200,
            {"url": f"{login}?state=st-ate-0001&redirect_uri={base}/cb"},
            set_cookie="nonce=n1; Path=/; Secure",
        ),
        "/authorize": authorize,
        "/cb": callback,
        "/api/user/profile": profile,
    }
    return sent


def test_flow_goes_through_a_provider_and_back(serving: Callable[..., Target], shop: Shop) -> None:
    target = serving(shop)
    sent = provider(shop, target.base)

    outcome = run(target, SIGN_IN)

    assert outcome.ok, outcome
    assert sent == [
        ('{"code": "c0de-123", "state": "st-ate-0001"}', "nonce=n1"),
        "Bearer acc-ess-1",
        ('{"id": 7, "text": "n7"}', None),
    ]


def test_red_step_is_numbered_and_blocks_what_needs_it(
    serving: Callable[..., Target], shop: Shop
) -> None:
    shop.answers["/login"] = says(500, {"error": "no"})
    shop.answers["/first"] = says(200)

    outcome = run(
        serving(shop),
        """
        - id: login
          flow:
            - request: GET /first
            - {request: POST /login, save: {token: json:/token}}
        - {id: profile, request: {path: /user, headers: {authorization: "Bearer ${token}"}}}
        """,
    )

    assert [result.message for result in outcome.results] == [
        "step 2: status is 500, expected 200",
        "needs ${token}, which no green step has saved",
    ]
    assert [asked["path"] for asked in shop.requests] == ["/first", "/login"]


def test_a_missing_capture_is_red(serving: Callable[..., Target], shop: Shop) -> None:
    shop.answers["/login"] = says(200, {"id": 1})

    outcome = run(serving(shop), "[{id: l, request: GET /login, save: {token: json:/token}}]")

    assert outcome.results[0].message == (
        "nothing to save as ${token}: the answer has no json:/token"
    )
