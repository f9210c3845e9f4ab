"""What cannot be meant is refused with a reason, and is never a failure of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .operations import operations
from .system import ADMIN, SMOKE, bring, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Shop

    from .system import System

TEXTS = (
    "\0",
    "a\0b",
    "\ud800",
    "x" * 300_000,
    "\u202e\u0000",
    "' OR 1=1 --",
    "%",
    "../../etc/passwd",
)
VALUES: tuple[object, ...] = (*TEXTS, None, True, -1, 2**63, 1e308, [], {}, [[[]]])
BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"{" * 5000,
    b'{"name": NaN}',
    b"\xff\xfe",
    b'{"a":"\\ud800"}',
)
PATHS = ("%00", "a%00b", "%ff", "%F0%9F%92%A9", "..%2f..", "x" * 3000, "%ED%A0%80", "'%20OR%201=1")
UNLIMITED = {f"RATE_LIMIT_{tier}": "1000000" for tier in ("ANONYMOUS", "FREE", "PRO", "ENTERPRISE")}


def spoiled(body: object) -> Iterator[Any]:
    """Yield a body with one of its values after another made unfit."""
    if isinstance(body, dict):
        for name in body:
            for value in VALUES:
                yield {**body, name: value}
        yield {}
        yield {**body, "unknown\0": "\0"}


def test_nothing_unfit_is_a_failure_of_ours(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    met = []

    with serving("2.1.0", shop, cache, **UNLIMITED) as system:
        bearers = [
            system.register("ann@example.test"),
            system.sign_in(ADMIN),
            system.sign_in(SMOKE),
        ]
        for operation in operations(system, {}):
            known = dict.fromkeys(("agent_id", "user_id"), "nobody")
            paths = [operation.at(known)]
            paths += [
                operation.at(dict.fromkeys(known, text)) for text in PATHS if "{" in operation.path
            ]
            bodies = [operation.body]
            if operation.body is not None:
                bodies += [*spoiled(operation.body), *BODIES]
            for bearer in bearers:
                asked = [(paths[0], body) for body in bodies] + [
                    (path, bodies[0]) for path in paths
                ]
                for path, body in asked:
                    answer = system.ask(operation.method, path, body, bearer=bearer)
                    met.append((operation.method, path[:80], str(body)[:80], answer.status))
        log = system.log.read_text()

    assert [each for each in met if each[-1] >= 500] == []
    assert len(met) > 500
    assert "Traceback" not in log


def test_a_body_that_cannot_be_read_is_refused_as_others_are(tenants: System) -> None:
    answers = [
        tenants.ask("POST", "/api/agents", body, bearer=tenants.register(f"{name}@example.test"))
        for name, body in (("ann", b'{"name": "\xff"}'), ("bob", b"{"), ("cid", b"[]"))
    ]

    told = [(each.status, each.body["success"], each.body["error"]["code"]) for each in answers]
    assert told == [(400, False, "VALIDATION_ERROR")] * 3
