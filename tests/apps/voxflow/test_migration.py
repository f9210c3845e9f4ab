"""A legacy account becomes a tenant, with what it made, while others go on as legacy clients."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.own_server import connect

from .system import ADMIN, PASSWORD, SMOKE, bring, legacy_token, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Shop

    from .system import System

COMPATIBILITY, USER_DATA = "/api/migration/compatibility", "/api/migration/user-data"
OTHER = "other@voxflow.test"


@pytest.fixture
def legacy(shop: Shop, cache: str) -> Iterator[System]:
    """Give 2.0.0 with two legacy accounts, and an agent that 1.0.0 made."""
    bring(shop, "1.0.0")
    with serving("1.0.0", shop, cache, SMOKE_EMAIL=OTHER) as old:
        old.ask("POST", "/api/agents", {"name": "before"}, bearer=old.sign_in(OTHER))
    bring(shop, "2.0.0")
    with serving("2.0.0", shop, cache) as system:
        yield system


def old_token(system: System, email: str) -> str:
    """Return a token that 1.0.0 gave."""
    ((user,),) = system.rows(f"SELECT id FROM users WHERE email = '{email}'")  # noqa: S608
    return legacy_token(user, email)


def make(system: System, token: str, *names: str) -> list[str]:
    answers = [system.ask("POST", "/api/agents", {"name": name}, bearer=token) for name in names]
    assert {answer.status for answer in answers} <= {201}
    return [answer.body["agent"]["id"] for answer in answers]


def plan(system: System, token: str, name: str, agent: str | None) -> int:
    asked = {"name": name, "agent_id": agent}
    return system.ask("POST", "/api/campaigns", asked, bearer=token).status


def names(system: System, token: str, what: str = "agents") -> list[str]:
    body = system.ask("GET", f"/api/{what}", bearer=token).body
    return [each["name"] for each in body.get("data", body.get(what))]


def moved(system: System, token: str) -> dict[str, Any]:
    answer = system.ask("POST", USER_DATA, bearer=token)
    assert answer.status == 200, answer
    data: dict[str, Any] = answer.body["data"]
    return data


def test_an_account_takes_along_what_it_made(legacy: System) -> None:
    token, other = old_token(legacy, SMOKE), old_token(legacy, OTHER)
    (mine,) = make(legacy, token, "mine")
    make(legacy, other, "theirs")
    assert plan(legacy, token, "spring", mine) == 201

    data = moved(legacy, token)
    again = legacy.sign_in(SMOKE)

    assert data["moved"] == {"agents": 1, "campaigns": 1}
    assert data["stays"] == []
    assert names(legacy, again) == ["mine"]
    assert names(legacy, again, "campaigns") == ["spring"]
    assert names(legacy, other) == ["before", "theirs"]
    assert names(legacy, other, "campaigns") == []
    assert names(legacy, legacy.sign_in(ADMIN)) == ["before", "theirs"]


def test_the_old_token_is_outdated_and_a_new_one_says_what_tenants_say(legacy: System) -> None:
    token = old_token(legacy, SMOKE)
    before = legacy.ask("GET", "/api/agents", bearer=token).status

    moved(legacy, token)
    refused = legacy.ask("GET", "/api/agents", bearer=token)
    profile = legacy.ask("GET", "/api/auth/profile", bearer=legacy.sign_in(SMOKE))

    assert (before, refused.status) == (200, 401)
    assert refused.body["error"]["code"] == "TOKEN_OUTDATED"
    assert (profile.status, profile.body["data"]["subscription_tier"]) == (200, "free")


def test_asked_again_it_answers_the_same_and_is_audited_once(legacy: System) -> None:
    token = old_token(legacy, SMOKE)
    make(legacy, token, "mine")

    first = legacy.ask("POST", USER_DATA, bearer=token, X_Request_Id="req_first_time")
    second = legacy.ask("POST", USER_DATA, bearer=token)

    assert (first.status, first.body) == (200, second.body)
    assert legacy.rows("SELECT action, details, request_id FROM audit_log") == [
        ("account.moved", {"agents": 1, "campaigns": 0}, "req_first_time")
    ]


def test_what_a_request_made_that_was_under_way_goes_when_asked_again(legacy: System) -> None:
    token = old_token(legacy, SMOKE)
    moved(legacy, token)
    legacy.write(
        "INSERT INTO agents (id, name, owner_id, shared, made_by) "
        "SELECT 'late', 'late', 'admin', true, id FROM users WHERE email = %(email)s",
        email=SMOKE,
    )

    assert moved(legacy, token)["moved"] == {"agents": 1, "campaigns": 0}
    assert names(legacy, legacy.sign_in(SMOKE)) == ["late"]


def test_two_requests_at_once_move_an_account_once(legacy: System) -> None:
    token = old_token(legacy, SMOKE)
    make(legacy, token, "one", "two")

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: legacy.ask("POST", USER_DATA, bearer=token).body, range(8))
        )

    assert [each["data"]["moved"] for each in answers] == [{"agents": 2, "campaigns": 0}] * 8
    assert legacy.rows("SELECT count(*) FROM audit_log") == [(1,)]


def test_what_others_use_stays_everybodys(legacy: System) -> None:
    token, other = old_token(legacy, SMOKE), old_token(legacy, OTHER)
    used, free = make(legacy, token, "used", "free")
    assert plan(legacy, other, "theirs", used) == 201
    assert plan(legacy, token, "on a used one", used) == 201
    assert plan(legacy, token, "on a free one", free) == 201

    asked = legacy.ask("GET", COMPATIBILITY, bearer=token).body["data"]
    data = moved(legacy, token)

    assert asked["goes"] == data["moved"] == {"agents": 1, "campaigns": 1}
    assert [(each["kind"], each["name"]) for each in data["stays"]] == [
        ("agent", "used"),
        ("campaign", "on a used one"),
    ]
    assert asked["stays"] == data["stays"]
    assert names(legacy, other) == ["before", "used"]
    assert names(legacy, other, "campaigns") == ["theirs", "on a used one"]


def test_nobody_plans_with_an_agent_that_went(legacy: System) -> None:
    token, other = old_token(legacy, SMOKE), old_token(legacy, OTHER)
    (mine,) = make(legacy, token, "mine")
    moved(legacy, token)

    assert plan(legacy, other, "theirs", mine) == 400


def test_all_agents_go_also_above_the_limit(legacy: System) -> None:
    token = old_token(legacy, SMOKE)
    make(legacy, token, "a", "b", "c", "d")

    issues = legacy.ask("GET", COMPATIBILITY, bearer=token).body["data"]["issues"]
    data = moved(legacy, token)
    more = legacy.ask("POST", "/api/agents", {"name": "e"}, bearer=legacy.sign_in(SMOKE))

    assert "AGENTS_OVER_LIMIT" in {issue["code"] for issue in issues}
    assert data["limits"] == {"max_agents": 3, "agents": 4}
    assert (more.status, more.body["error"]["code"]) == (403, "AGENT_LIMIT_EXCEEDED")


def test_compatibility_tells_what_there_is_and_changes_nothing(legacy: System) -> None:
    token = old_token(legacy, OTHER)
    make(legacy, token, "mine")

    first = legacy.ask("GET", COMPATIBILITY, bearer=token).body["data"]
    codes = [issue["code"] for issue in first["issues"]]

    assert (first["contract"], first["compatible"]) == ("legacy", False)
    assert codes == ["LEGACY_CONTRACT", "TOKEN_OUTDATED", "DEPRECATED_ROUTES_USED"]
    assert [(each["route"], each["requests"]) for each in first["deprecated_routes"]] == [
        ("POST /api/agents", 1)
    ]
    assert legacy.ask("GET", COMPATIBILITY, bearer=token).body["data"] == first
    moved(legacy, token)
    after = legacy.ask("GET", COMPATIBILITY, bearer=legacy.sign_in(OTHER)).body["data"]
    assert (after["contract"], after["compatible"], after["issues"]) == ("tenant", True, [])


def test_a_tenant_has_nothing_to_move(legacy: System) -> None:
    answer = legacy.ask("POST", USER_DATA, bearer=legacy.register("ann@example.test"))

    assert (answer.status, answer.body["error"]["code"]) == (409, "NOTHING_TO_MIGRATE")
    assert legacy.ask("POST", USER_DATA).status == 401
    assert legacy.rows("SELECT count(*) FROM audit_log") == [(0,)]


def test_on_the_way_back_it_is_neither_seen_nor_lost(legacy: System, cache: str) -> None:
    token = old_token(legacy, SMOKE)
    (mine,) = make(legacy, token, "mine")
    plan(legacy, token, "spring", mine)
    moved(legacy, token)

    with serving("1.0.0", legacy.shop, cache) as old:
        back = old.sign_in(SMOKE)
        seen = names(old, back), names(old, back, "campaigns")
        theirs = plan(old, back, "on what went", mine)
        make(old, back, "made on the way back")
    again = legacy.sign_in(SMOKE, PASSWORD)

    assert seen == (["before"], [])
    assert theirs == 400
    assert names(legacy, again) == ["mine"]
    assert names(legacy, again, "campaigns") == ["spring"]
    assert names(legacy, old_token(legacy, OTHER)) == ["before", "made on the way back"]


def test_a_plan_that_is_made_meanwhile_waits_and_finds_no_agent(legacy: System) -> None:
    token, other = old_token(legacy, SMOKE), old_token(legacy, OTHER)
    (mine,) = make(legacy, token, "mine")

    with connect(legacy.shop.admin) as moving, ThreadPoolExecutor(1) as pool:
        moving.execute("BEGIN")
        moving.execute("SELECT FROM agents WHERE id = %s FOR UPDATE", [mine])
        asked = pool.submit(plan, legacy, other, "theirs", mine)
        wait_for_a_lock(legacy)
        moving.execute("UPDATE agents SET owner_id = made_by, shared = false WHERE id = %s", [mine])
        moving.execute("COMMIT")

    assert asked.result() == 400


def wait_for_a_lock(system: System) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(600):
        if system.rows(waiting) != [(0,)]:
            return
        time.sleep(0.05)
    raise AssertionError("nobody waits")
