"""Nobody sees or changes what is somebody else's, whatever route and whatever token."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.apps.python_app import signed

from .operations import Operation, operations
from .system import ADMIN, PASSWORD, SECRET, SMOKE, bring, emptied, legacy_token, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres.own_server import Server

    from .system import System

# What is asked before anybody is known.
OPEN = {
    "POST /api/auth/register",
    "POST /api/auth/login",
    "GET /health",
    "GET /health/db",
    "GET /health/redis",
}
# What only administrators are answered.
GUARDED = ("/api/admin/", "/api/performance/", "/api/monitoring/")
# In everything that is the victim's, and in nothing else.
MARK = "victim-7c1d"
NUMBER = 987_654
API_KEY = f"gsk_{MARK}_secret"
TABLES = ("users", "agents", "campaigns", "api_keys", "usage_days", "usage_records")


@dataclass
class World:
    """A system in which one tenant has something of everything."""

    system: System
    victim: str
    token: str
    other: str
    admin: str
    legacy: str
    agent: str
    operations: list[Operation]

    def addressed(self, operation: Operation) -> str:
        return operation.at({"agent_id": self.agent, "user_id": self.victim})

    def theirs(self) -> list[Any]:
        """Return every row that is the victim's, to compare."""
        found = []
        for table in TABLES:
            owner = {"users": "id", "agents": "owner_id", "campaigns": "owner_id"}
            column = owner.get(table, "user_id")
            select = f"SELECT * FROM {table} WHERE {column} = '{self.victim}'"  # noqa: S608 - its own tables
            found.append(sorted(map(str, self.system.rows(select))))
        return found

    def forged(self) -> dict[str, str]:
        """Return tokens that nobody may be let in by."""
        now = int(time.time())
        claims: dict[str, object] = {
            "id": self.victim,
            "email": f"{MARK}@example.test",
            "role": "admin",
            "subscription_tier": "enterprise",
            "max_agents": 10,
            "monthly_token_quota": 10,
            "iat": now,
            "exp": now + 600,
        }
        part = self.token.split(".")
        other = self.other.split(".")
        return {
            "none": "",
            "alg none": signed(claims, SECRET, "none"),
            "another key": signed(claims, "another secret, of 32 letters as well"),
            "empty key": signed(claims, ""),
            "expired": signed({**claims, "iat": now - 900, "exp": now - 300}, SECRET),
            "without end": signed({k: v for k, v in claims.items() if k != "exp"}, SECRET),
            "another algorithm": signed(claims, SECRET, "RS256"),
            "claims of another": f"{other[0]}.{part[1]}.{other[2]}",
            "cut": self.token[:-4],
            "of nobody": signed({**claims, "id": "nobody"}, SECRET),
            "of a list": signed({**claims, "id": [self.victim]}, SECRET),
            "with nul": signed({**claims, "id": self.victim + "\0"}, SECRET),
        }


@pytest.fixture(scope="module", params=["2.0.0", "3.0.0"])
def world(
    request: pytest.FixtureRequest, postgres_server: Server, cache_server: Path
) -> Iterator[World]:
    from tests.postgres.own_server import fresh_shop  # noqa: PLC0415

    limits = {"RATE_LIMIT_ANONYMOUS": "100000", "RATE_LIMIT_PRO": "100000"}
    with fresh_shop(postgres_server) as shop:
        bring(shop, "1.0.0", "2.0.0", *(["3.0.0"] if request.param == "3.0.0" else []))
        with serving(request.param, shop, emptied(cache_server), **limits) as system:
            yield peopled(system)


def peopled(system: System) -> World:
    asked = {
        "email": f"{MARK}@example.test",
        "password": PASSWORD,
        "organization_name": MARK,
        "subscription_tier": "pro",
    }
    answer = system.ask("POST", "/api/auth/register", asked)
    victim, token = answer.body["data"]["id"], answer.body["token"]
    agent = system.ask("POST", "/api/agents", {"name": MARK}, bearer=token).body["data"]["id"]
    about = {"name": MARK, "agent_id": agent}
    assert system.ask("POST", "/api/campaigns", about, bearer=token).status == 201
    key = {"provider": "groq", "api_key": API_KEY, "is_active": True}
    assert system.ask("POST", "/api/api-keys", key, bearer=token).status in {200, 201}
    known = {"agent_id": agent, "user_id": victim, "email": f"new-{MARK[-4:]}@example.test"}
    world = World(
        system=system,
        victim=victim,
        token=token,
        other=system.register("other@example.test"),
        admin=system.sign_in(ADMIN),
        legacy=system.sign_in(SMOKE),
        agent=agent,
        operations=operations(system, known),
    )
    system.write(
        """INSERT INTO usage_days (user_id, day, provider, calls, tokens)
        VALUES (%(user)s, now()::date, 'groq', 1, %(tokens)s)
        ON CONFLICT (user_id, day, provider) DO UPDATE SET tokens = excluded.tokens""",
        user=victim,
        tokens=NUMBER,
    )
    return world


def leaks(text: object) -> bool:
    return MARK in str(text) or str(NUMBER) in str(text)


def test_a_token_that_is_not_good_opens_nothing(world: World) -> None:
    before, met = world.theirs(), []

    for operation in world.operations:
        if str(operation) in OPEN:
            continue
        for kind, token in world.forged().items():
            answer = world.system.ask(
                operation.method, world.addressed(operation), operation.body, bearer=token
            )
            met.append((str(operation), kind, answer.status, leaks(answer.body)))

    assert [each for each in met if each[2:] != (401, False)] == []
    assert len(met) >= 12 * 6
    assert world.theirs() == before


def test_another_tenant_sees_and_changes_nothing(world: World) -> None:
    before, met = world.theirs(), []

    for operation in world.operations:
        answer = world.system.ask(
            operation.method, world.addressed(operation), operation.body, bearer=world.other
        )
        met.append((str(operation), answer.status, leaks(answer.body)))

    assert [each for each in met if each[2]] == []
    guarded = {name: status for name, status, _ in met if name.split(" ")[1].startswith(GUARDED)}
    assert set(guarded.values()) == {403}, guarded
    assert [each for each in met if each[1] >= 500] == []
    assert world.theirs() == before


def test_a_legacy_client_sees_and_changes_nothing(world: World) -> None:
    ((user,),) = world.system.rows(f"SELECT id FROM users WHERE email = '{SMOKE}'")  # noqa: S608 - its own
    before, met = world.theirs(), []

    for token in (world.legacy, legacy_token(user, SMOKE)):
        for operation in world.operations:
            answer = world.system.ask(
                operation.method, world.addressed(operation), operation.body, bearer=token
            )
            met.append((str(operation), answer.status, leaks(answer.body)))

    assert [each for each in met if each[2]] == []
    guarded = {status for name, status, _ in met if name.split(" ")[1].startswith(GUARDED)}
    assert guarded == {401, 403}
    assert [each for each in met if each[1] >= 500] == []
    assert world.theirs() == before


def test_an_administrator_sees_who_there_is_and_never_a_key(world: World) -> None:
    met = []

    for operation in world.operations:
        if operation.method == "GET":
            answer = world.system.ask("GET", world.addressed(operation), bearer=world.admin)
            met.append(
                (str(operation), answer.status, leaks(answer.body), API_KEY in str(answer.body))
            )

    assert [each for each in met if each[3]] == []
    seen = {name for name, status, leaked, _ in met if leaked and status == 200}
    assert seen
    assert all(name.split(" ")[1].startswith(GUARDED) for name in seen)
    assert API_KEY not in world.system.log.read_text()


def test_a_role_in_a_token_is_not_believed(world: World) -> None:
    """The database says who is an administrator, so that one who was can be taken the role."""
    now = int(time.time())
    ((user,),) = world.system.rows("SELECT id FROM users WHERE email = 'other@example.test'")
    claims = {
        "id": user,
        "email": "other@example.test",
        "role": "admin",
        "subscription_tier": "enterprise",
        "max_agents": 10,
        "monthly_token_quota": 10,
        "iat": now,
        "exp": now + 600,
    }

    answer = world.system.ask("GET", "/api/admin/users", bearer=signed(claims, SECRET))

    assert (answer.status, answer.body["error"]["code"]) == (403, "FORBIDDEN")
