"""Administrators are told how the database is, by PostgreSQL itself and as a provisioned role sees it."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.errors import QueryCanceled
from tests.postgres.own_server import connect

from .system import ADMIN, SMOKE, bring, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import LiteralString

    from tests.postgres.own_server import Shop

    from changeover.database import Database

    from .system import System

HEALTH, METRICS = "/api/performance/health", "/api/performance/metrics"
OWN = {
    "agents",
    "api_keys",
    "audit_log",
    "campaigns",
    "deprecated_usage",
    "usage_days",
    "usage_records",
    "users",
}


@pytest.fixture
def system(shop: Shop, cache: str) -> Iterator[System]:
    """Give 2.0.0 with the rights that provisioning leaves, where a query of a second is long."""
    bring(shop, "1.0.0", "2.0.0")
    for statement in (
        "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        "GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {role}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {role}",
        "CREATE TABLE kept_from_the_app (id integer)",
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.of_others (id integer)",
    ):
        shop.rows(statement.format(name=shop.name, role=shop.app.user))
    with serving("2.0.0", shop, cache, LONG_QUERY_SECONDS="1") as made:
        yield made


def told(system: System, path: str, token: str) -> dict[str, Any]:
    answer = system.ask("GET", path, bearer=token)
    assert answer.status == 200, answer
    data: dict[str, Any] = answer.body["data"]
    return data


def until(
    system: System, path: str, token: str, fits: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Ask until an answer fits."""
    data: dict[str, Any] = {}
    for _ in range(600):
        data = told(system, path, token)
        if fits(data):
            return data
        time.sleep(0.05)
    raise AssertionError(data)


@contextlib.contextmanager
def asked_of(place: Database, statement: LiteralString) -> Iterator[None]:
    """Have a session of its own run a statement that does not end by itself."""
    with connect(place) as session, ThreadPoolExecutor(1) as pool:
        pending = pool.submit(session.execute, statement)
        try:
            yield
        finally:
            session.cancel_safe()
            with contextlib.suppress(QueryCanceled):
                pending.result()


def test_an_idle_database_is_excellent_and_told_in_the_shape_of_the_guide(system: System) -> None:
    admin = system.sign_in(ADMIN)

    health, metrics = told(system, HEALTH, admin), told(system, METRICS, admin)

    assert (health["health_score"], health["health_status"], health["issues"]) == (
        100,
        "excellent",
        [],
    )
    assert set(health["metrics_summary"]) == {
        "cache_hit_ratio",
        "active_connections",
        "lock_waits",
        "database_size",
    }
    assert health["metrics_summary"]["lock_waits"] == 0
    assert health["metrics_summary"]["active_connections"] == 0
    assert health["metrics_summary"]["database_size"].endswith("MB")
    assert set(metrics) == {"connection_stats", "cache_hit_ratio", "table_stats"}
    assert metrics["connection_stats"]["longest_query_seconds"] == 0
    assert set(metrics["cache_hit_ratio"]) == {"cache_hit_ratio", "index_hit_ratio"}


def test_ratios_are_percent_of_blocks_from_memory(system: System) -> None:
    admin = system.sign_in(ADMIN)

    # The first statistics of a database may know of nothing but reads from disk.
    ratios = until(
        system,
        METRICS,
        admin,
        lambda data: all((each or 0) > 0 for each in data["cache_hit_ratio"].values()),
    )["cache_hit_ratio"]

    assert sorted(ratios) == ["cache_hit_ratio", "index_hit_ratio"]
    assert max(ratios.values()) <= 100


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("LOCK TABLE agents IN ACCESS EXCLUSIVE MODE", "SELECT FROM agents"),
        ("UPDATE usage_days SET calls = 2", "UPDATE usage_days SET calls = 3"),
    ],
)
def test_a_wait_for_a_lock_is_an_issue_whoever_waits(
    system: System, held: LiteralString, wanted: LiteralString
) -> None:
    admin = system.sign_in(ADMIN)
    system.write(
        "INSERT INTO usage_days (user_id, day, provider) VALUES ('admin', '2026-01-01', 'groq')"
    )

    with connect(system.shop.admin) as holds:
        holds.execute("BEGIN")
        holds.execute(held)
        with asked_of(system.shop.owner if "LOCK" in held else system.shop.admin, wanted):
            health = until(
                system, HEALTH, admin, lambda data: data["metrics_summary"]["lock_waits"] == 1
            )
            sizes = {
                table["tablename"]: table["total_size"]
                for table in told(system, METRICS, admin)["table_stats"]
            }
        holds.execute("ROLLBACK")
    after = told(system, HEALTH, admin)

    assert health["issues"] == ["1 session waits for a lock"]
    assert (health["health_score"], health["health_status"]) == (85, "good")
    assert {name for name, size in sizes.items() if size is None} == (
        {"agents"} if "LOCK" in held else set()
    )
    assert (after["health_score"], after["issues"]) == (100, [])


def test_a_long_query_is_an_issue_where_it_is_the_apps(system: System) -> None:
    admin = system.sign_in(ADMIN)

    with (
        asked_of(system.shop.owner, "SELECT pg_sleep(3600)"),
        asked_of(system.shop.app, "SELECT pg_sleep(3600)"),
    ):
        health = until(system, HEALTH, admin, lambda data: data["health_score"] < 100)
        metrics = told(system, METRICS, admin)

    assert health["issues"][0].startswith("a query has been running for ")
    assert health["metrics_summary"]["active_connections"] == 1
    assert metrics["connection_stats"]["active_connections"] == 1
    assert metrics["connection_stats"]["longest_query_seconds"] >= 1


def test_a_transaction_that_is_left_open_is_an_issue(system: System) -> None:
    admin = system.sign_in(ADMIN)

    with connect(system.shop.app) as session:
        session.execute("BEGIN")
        health = until(system, HEALTH, admin, lambda data: data["health_score"] < 100)
        session.execute("ROLLBACK")

    (issue,) = health["issues"]
    assert issue.startswith("a transaction has been open for ")
    assert health["metrics_summary"]["active_connections"] == 0


def test_the_apps_own_tables_are_told_with_their_dead_rows(system: System) -> None:
    admin = system.sign_in(ADMIN)
    system.rows(
        "INSERT INTO agents (id, name) SELECT n::text, 'agent' FROM generate_series(1, 15000) n"
    )
    system.rows("DELETE FROM agents WHERE id::integer > 3000")
    system.rows("ANALYZE agents")

    table = {each["tablename"]: each for each in told(system, METRICS, admin)["table_stats"]}
    health = told(system, HEALTH, admin)
    ((size,),) = system.rows("SELECT pg_total_relation_size('agents')")

    assert set(table) == OWN
    assert (table["agents"]["live_tuples"], table["agents"]["dead_tuples"]) == (3000, 12000)
    assert table["agents"]["total_size"] == f"{size / 1024**2:.1f}MB"
    assert health["issues"] == ["the table agents has 12000 dead rows beside 3000 live ones"]
    assert health["health_score"] == 95


def test_nobody_but_administrators_is_told(system: System) -> None:
    tokens = (system.register("ann@example.test", "enterprise"), system.sign_in(SMOKE))

    for path in (HEALTH, METRICS, "/api/monitoring/usage"):
        assert [system.ask("GET", path, bearer=token).status for token in tokens] == [403, 403]
        assert system.ask("GET", path).status == 401
