"""What is asked of the service is told to administrators, and to Prometheus, without naming anybody."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from changeover.agent.colour.unix_connection import UnixConnection

from .system import ADMIN, bring, legacy_token, serving

if TYPE_CHECKING:
    from tests.postgres.own_server import Shop

    from .system import System

USAGE = "/api/monitoring/usage"
ANN, OLD = "ann@example.test", "old@example.test"
WAITS = 60


def figures(system: System) -> str:
    with contextlib.closing(
        UnixConnection(system.socket.with_name("metrics.sock"), WAITS)
    ) as found:
        found.request("GET", "/metrics")
        return found.getresponse().read().decode()


def figure(text: str, name: str, **labels: str) -> float | None:
    """Return a figure by its name and its labels."""
    for line in text.splitlines():
        given = dict(re.findall(r'(\w+)="([^"]*)"', line))
        if re.match(rf"{name}[ {{]", line) and given == labels:
            return float(line.rpartition(" ")[2])
    return None


def old_client(system: System) -> str:
    """Make a legacy account, and return its token."""
    system.write(
        "INSERT INTO users (id, email, password) VALUES ('old', %(email)s, '!')", email=OLD
    )
    return legacy_token("old", OLD)


def test_prometheus_is_told_what_was_answered_by_route_and_status(tenants: System) -> None:
    ann = tenants.register(ANN)
    made = tenants.ask("POST", "/api/agents", {"name": "one"}, bearer=ann).body["data"]["id"]
    for path in (f"/api/agents/{made}", "/api/agents/no-such-agent", "/api/nowhere/secret-path"):
        tenants.ask("GET", path, bearer=ann)
    tenants.ask("POST", "/api/auth/login", {"email": ANN, "password": "a wrong one"})
    tenants.sign_in(ANN)
    tenants.ask("GET", "/api/agents", bearer=old_client(tenants))

    text = figures(tenants)

    one = {"method": "GET", "route": "/api/agents/{agent_id}"}
    assert figure(text, "http_requests_total", **one, status="200") == 1
    assert figure(text, "http_requests_total", **one, status="404") == 1
    assert figure(text, "http_request_duration_seconds_count", **one) == 2
    nowhere = {"method": "GET", "route": "unrouted", "status": "404"}
    assert figure(text, "http_requests_total", **nowhere) == 1
    assert figure(text, "voxflow_sign_ins_total", outcome="failure") == 1
    assert figure(text, "voxflow_sign_ins_total", outcome="success") == 1
    assert figure(text, "voxflow_deprecated_requests_total", route="GET /api/agents") == 1
    assert figure(text, "voxflow_database_sessions_in_use") == 0
    assert figure(text, "voxflow_database_sessions_limit") == 10
    assert figure(text, "voxflow_database_requests_waiting") == 0
    for word in (made, ANN, "no-such-agent", "secret-path"):
        assert word not in text


def test_too_many_requests_and_those_that_nobody_counts_are_told(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    limited = {"RATE_LIMIT_WINDOW_SECONDS": "86400", "RATE_LIMIT_ANONYMOUS": "2"}

    with serving("2.0.0", shop, cache, **limited) as system:
        statuses = [
            system.ask("GET", "/api/agents", X_Real_IP="192.0.2.99").status for _ in range(6)
        ]
        text = figures(system)
    away = {"REDIS_URL": "unix:///nowhere.sock"}
    with serving("2.0.0", shop, cache, **away) as system:
        system.ask("GET", "/api/agents")
        uncounted = figure(figures(system), "voxflow_uncounted_requests_total")

    refused = statuses.count(429)
    assert refused > 0
    assert figure(text, "voxflow_rate_limited_requests_total", tier="anonymous") == refused
    assert uncounted == 1


def test_1_0_0_tells_what_it_answers(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0")

    with serving("1.0.0", shop, cache) as system:
        system.ask("POST", "/api/auth/login", {"email": ANN, "password": "a wrong one"})
        text = figures(system)

    login = {"method": "POST", "route": "/api/auth/login", "status": "401"}
    assert figure(text, "http_requests_total", **login) == 1
    assert figure(text, "voxflow_sign_ins_total", outcome="failure") == 1
    assert figure(text, "voxflow_database_sessions_limit") == 10


def test_administrators_are_told_what_is_asked_and_what_it_costs(tenants: System) -> None:
    admin, ann = tenants.sign_in(ADMIN), tenants.register(ANN)
    tenants.ask("GET", "/api/agents", bearer=ann)
    tenants.ask("GET", "/api/agents/none", bearer=ann)
    tenants.ask("GET", "/api/agents", bearer=old_client(tenants))
    for user in ("admin", "old"):
        for months in (0, -1):
            tenants.write(
                "INSERT INTO usage_days (user_id, day, provider, calls, tokens, cost) "
                "SELECT %(user)s, (date_trunc('month', now() AT TIME ZONE 'UTC') "
                "+ %(months)s * interval '1 month')::date, 'groq', 2, 70, 0.25",
                user=user,
                months=months,
            )

    answer = tenants.ask("GET", USAGE, bearer=admin)
    data: dict[str, Any] = answer.body["data"]
    areas = {each.pop("area"): each for each in data["process"]["requests"]}

    assert areas["agents"] == {"requests": 3, "client_errors": 1, "server_errors": 0}
    assert areas["auth"]["requests"] == 2
    assert data["process"]["version"] == "2.0.0"
    assert data["process"]["sign_ins_failed"] == 0
    assert [
        (each["route"], each["requests"], each["accounts"]) for each in data["deprecated_routes"]
    ] == [("GET /api/agents", 1, 1)]
    assert data["month"]["providers"] == [
        {"provider": "groq", "accounts": 2, "calls": 4, "tokens": 140, "minutes": 0.0, "cost": 0.5}
    ]


def test_3_0_0_tells_it_too(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0", "3.0.0", contract=("2.0.0", "3.0.0"))

    with serving("3.0.0", shop, cache) as system:
        answer = system.ask("GET", USAGE, bearer=system.sign_in(ADMIN))

    assert (answer.status, answer.body["data"]["deprecated_routes"]) == (200, [])
