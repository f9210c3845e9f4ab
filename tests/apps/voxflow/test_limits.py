"""Requests are counted as one, however many app hosts answer them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING

from .system import ADMIN, SMOKE, bring, serving

if TYPE_CHECKING:
    from tests.apps.python_app import Answer
    from tests.postgres.own_server import Shop

LIMIT, BEYOND = 40, 13
# A day, so that a window hardly ends under a test; where it does, each of the two is looked at.
WINDOW = {"RATE_LIMIT_WINDOW_SECONDS": "86400", "RATE_LIMIT_ANONYMOUS": "100000"}


def test_two_hosts_let_exactly_the_limit_in(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    limited = WINDOW | {"RATE_LIMIT_FREE": str(LIMIT)}

    with (
        serving("2.0.0", shop, cache, **limited) as first,
        serving("2.0.0", shop, cache, **limited) as second,
        ThreadPoolExecutor(8) as crowd,
    ):
        token = first.register("free@example.test", "free")
        hosts = [
            host for host, _ in zip(cycle((first, second)), range(LIMIT + BEYOND), strict=False)
        ]
        answers = list(crowd.map(lambda host: host.ask("GET", "/api/agents", bearer=token), hosts))

    windows = {answer.headers["x-ratelimit-reset"] for answer in answers}
    for window in windows:
        held_to_the_limit([each for each in answers if each.headers["x-ratelimit-reset"] == window])
    assert len(answers) == LIMIT + BEYOND


def held_to_the_limit(answers: list[Answer]) -> None:
    statuses = Counter(answer.status for answer in answers)
    left = [
        int(answer.headers["x-ratelimit-remaining"]) for answer in answers if answer.status == 200
    ]

    assert statuses == {
        200: min(LIMIT, len(answers)),
        429: max(0, len(answers) - LIMIT),
    } or statuses == {200: len(answers)}
    assert sorted(left, reverse=True) == list(range(LIMIT - 1, LIMIT - 1 - len(left), -1))
    for refused in (answer for answer in answers if answer.status == 429):
        assert refused.body["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["x-ratelimit-limit"] == str(LIMIT)


def test_a_tier_an_address_and_a_legacy_client_have_limits_of_their_own(
    shop: Shop, cache: str
) -> None:
    bring(shop, "1.0.0", "2.0.0")
    limited = {
        "RATE_LIMIT_WINDOW_SECONDS": "86400",
        "RATE_LIMIT_ANONYMOUS": "70000",
        "RATE_LIMIT_FREE": "71",
        "RATE_LIMIT_PRO": "72",
        "RATE_LIMIT_ENTERPRISE": "73",
    }

    with serving("2.0.0", shop, cache, **limited) as system:
        told = {
            name: system.ask("GET", "/api/agents", bearer=bearer).headers.get("x-ratelimit-limit")
            for name, bearer in (
                ("nobody", ""),
                ("guess", "a.b.c"),
                ("free", system.register("ann@example.test", "free")),
                ("pro", system.register("ben@example.test", "pro")),
                ("enterprise", system.register("eve@example.test", "enterprise")),
                ("admin", system.sign_in(ADMIN)),
                ("legacy", system.sign_in(SMOKE)),
            )
        }

    assert told == {
        "nobody": "70000",
        "guess": "70000",
        "free": "71",
        "pro": "72",
        "enterprise": "73",
        "admin": "73",
        "legacy": None,
    }


def test_addresses_are_counted_apart_and_guesses_end(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    limited = {"RATE_LIMIT_WINDOW_SECONDS": "86400", "RATE_LIMIT_ANONYMOUS": "5"}
    wrong = {"email": SMOKE, "password": "a wrong one"}

    with serving("2.0.0", shop, cache, **limited) as system:
        statuses = [
            system.ask("POST", "/api/auth/login", wrong, X_Real_IP="192.0.2.77").status
            for _ in range(8)
        ]
        elsewhere = system.ask("POST", "/api/auth/login", wrong, X_Real_IP="192.0.2.78").status
        health = system.ask("GET", "/health", X_Real_IP="192.0.2.77").status

    assert statuses.count(401) >= 5
    assert set(statuses) <= {401, 429}
    assert statuses[-1] == 429
    assert (elsewhere, health) == (401, 200)


def test_without_redis_nobody_is_kept_out(shop: Shop) -> None:
    bring(shop, "1.0.0", "2.0.0")

    with serving("2.0.0", shop, "unix:///nowhere/redis.sock") as system:
        answer = system.ask("GET", "/api/agents", bearer=system.register("ann@example.test"))
        health = system.ask("GET", "/health/redis")

    assert (answer.status, health.status) == (200, 503)
    assert "x-ratelimit-limit" not in answer.headers
