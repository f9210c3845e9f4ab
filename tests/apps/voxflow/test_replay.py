"""The same requests to every version: whoever is promised a contract gets the same answers, byte for byte but for ids."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from .system import SMOKE, bring, legacy_token, serving

if TYPE_CHECKING:
    from tests.postgres.own_server import Shop

    from .system import System

OLD = "old@voxflow.test"
# What differs from run to run: ids, request ids, moments, tokens.
VARYING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|req_[0-9a-f]{32}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|eyJ[\w-]+\.[\w-]+\.[\w-]+"
)
AGENTS: list[object] = [
    {"name": "Ada"},
    {"name": "Bea", "description": "calls", "voice": "warm"},
    {"name": "Zoë ☎", "description": "", "more": [1]},
    {"name": ""},
    {"name": None},
    {"name": 7},
    {"name": "x" * 201},
    {"name": "a\0b"},
    {"description": "nameless"},
    [],
    b"{",
    b"",
]
CAMPAIGNS: list[object] = [
    {"name": "Spring"},
    {"name": "Summer", "agent_id": "none"},
    {"name": "", "agent_id": None},
    {"agent_id": "none"},
    b"not json",
]
Told = list[tuple[str, int, str, str]]


def replayed(system: System, token: str) -> Told:
    """Ask everything that a client asks, and return what was answered, without what varies."""
    asked: list[tuple[str, str, object]] = [
        ("GET", "/api/agents", None),
        *(("POST", "/api/agents", body) for body in AGENTS),
        ("GET", "/api/agents", None),
        ("GET", "/api/agents?owner=admin&page=2", None),
        *(("POST", "/api/campaigns", body) for body in CAMPAIGNS),
        ("GET", "/api/campaigns", None),
    ]
    told = []
    for method, path, body in asked:
        answer = system.ask(method, path, body, bearer=token)
        text = VARYING.sub("*", json.dumps(answer.body, sort_keys=True))
        told.append(
            (f"{method} {path} {body!r}", answer.status, answer.headers["content-type"], text)
        )
    return told


def of_legacy(version: str, shop: Shop, cache: str, schema: list[str]) -> Told:
    bring(shop, *schema)
    with serving(version, shop, cache) as system:
        system.write("INSERT INTO users (id, email, password) VALUES (%(id)s, %(id)s, '!')", id=OLD)
        return replayed(system, legacy_token(OLD, OLD))


def test_legacy_clients_get_the_answers_of_1_0_0(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0")
    told = {}
    schema = {"1.0.0": [], "2.0.0": ["2.0.0"], "2.1.0": []}
    for version, brought in schema.items():
        told[version] = of_legacy(version, shop, cache, brought)
        # the next one begins with nothing, too
        shop.rows("DELETE FROM campaigns")
        shop.rows("DELETE FROM agents")
        shop.rows(f"DELETE FROM users WHERE id = '{OLD}'")  # noqa: S608

    assert told["2.0.0"] == told["1.0.0"]
    assert told["2.1.0"] == told["1.0.0"]
    assert {status for _, status, _, _ in told["1.0.0"]} == {200, 201, 400}


def test_tenants_get_the_same_answers_from_2_0_0_on(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    told = {}
    for version in ("2.0.0", "2.1.0", "3.0.0"):
        if version == "3.0.0":
            bring(shop, "3.0.0")
        with serving(version, shop, cache) as system:
            token = system.register(f"ann-{version[0]}{version[2]}@voxflow.test", "free")
            told[version] = replayed(system, token)

    assert told["2.1.0"] == told["2.0.0"]
    assert told["3.0.0"] == told["2.0.0"]
    assert {status for _, status, _, _ in told["2.0.0"]} == {200, 201, 400}


@pytest.mark.parametrize("version", ["2.0.0", "2.1.0"])
def test_a_legacy_client_signs_in_and_reads_its_token_as_before(
    shop: Shop, cache: str, version: str
) -> None:
    bring(shop, "1.0.0")
    with serving("1.0.0", shop, cache) as old:
        before = old.sign_in(SMOKE)
        bring(shop, "2.0.0")
        with serving(version, shop, cache) as new:
            after = new.sign_in(SMOKE)
            answers = {
                (system.version, name): system.ask("GET", "/api/agents", bearer=token)
                for system in (old, new)
                for name, token in (("before", before), ("after", after))
            }

    # tokens of either version are good for both, also after a way back
    assert {(each.status, json.dumps(each.body)) for each in answers.values()} == {
        (200, '{"agents": []}')
    }
