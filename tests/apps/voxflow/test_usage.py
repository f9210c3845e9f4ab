"""What tenants use is counted exactly: each call once, by UTC, within the month's tokens."""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.own_server import connect

from changeover.agent.colour.unix_connection import UnixConnection

from .system import ADMIN, bring, serving

if TYPE_CHECKING:
    from tests.apps.python_app import Answer
    from tests.postgres.own_server import Shop

    from .system import System

CURRENT, HISTORY, RECORDS = "/api/usage/current", "/api/usage/history", "/api/usage/records"
KEYS, STATUS = "/api/api-keys", "/api/api-keys/status"
QUOTA = 100_000
JANUARY = "?start_date=2024-01-01&end_date=2024-01-31"


def report(system: System, token: str, key: str, provider: str = "groq", **more: object) -> Answer:
    figures = {"tokens": 100, "cost": 0.25} if provider == "groq" else {"minutes": 1.5, "cost": 0.5}
    asked = {"record_id": key, "provider": provider, **figures, **more}
    return system.ask("POST", RECORDS, asked, bearer=token)


def told(system: System, token: str, path: str = CURRENT) -> Any:  # noqa: ANN401 - what a route tells
    answer = system.ask("GET", path, bearer=token)
    assert (answer.status, answer.body["success"]) == (200, True), answer
    return answer.body["data"]


def totals(system: System, token: str) -> tuple[int, int, float]:
    period = told(system, token)["current_period"]
    return period["total_tokens"], period["total_calls"], period["api_costs"]


def user(system: System, email: str) -> str:
    ((found,),) = system.rows(f"SELECT id FROM users WHERE email = '{email}'")  # noqa: S608
    return str(found)


def used(system: System, owner: str, day: str, provider: str, figures: tuple[float, ...]) -> None:
    """Have a tenant use something on some day."""
    calls, tokens, minutes, cost = figures
    system.write(
        "INSERT INTO usage_days (user_id, day, provider, calls, tokens, minutes, cost) VALUES "
        "(%(owner)s, %(day)s::date, %(provider)s, %(calls)s, %(tokens)s, %(minutes)s, %(cost)s)",
        owner=owner,
        day=day,
        provider=provider,
        calls=calls,
        tokens=tokens,
        minutes=minutes,
        cost=cost,
    )


def figures(system: System) -> list[str]:
    """Return what Prometheus reads of keys and usage, without when each figure began."""
    connection = UnixConnection(system.socket.with_name("metrics.sock"), 60)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    return [
        line
        for line in lines
        if line.startswith(("voxflow_usage_", "voxflow_api_keys_")) and "_created" not in line
    ]


def this_month(system: System) -> tuple[str, str]:
    ((first, last),) = system.rows(
        "SELECT min(day)::date::text, max(day)::date::text FROM generate_series("
        "date_trunc('month', now() AT TIME ZONE 'UTC'), "
        "date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month - 1 day', '1 day') AS day"
    )
    return first, last


def test_current_tells_the_month_its_limits_and_each_provider(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    owner = user(tenants, "ann@example.test")
    first, last = this_month(tenants)

    before = told(tenants, ann)
    used(tenants, owner, first, "groq", (100, 11_900, 0, 9.75))
    used(tenants, owner, last, "deepgram", (49, 0, 43.5, 2.0))
    answers = [report(tenants, ann, "1"), report(tenants, ann, "2", "deepgram")]
    after = told(tenants, ann)

    limits = {"max_agents": 10, "monthly_token_quota": QUOTA}
    period = {"start_date": first, "end_date": last}
    nothing = {"total_tokens": 0, "total_calls": 0, "api_costs": 0}
    assert before == {
        "current_period": period | nothing,
        "limits": limits,
        "usage_by_provider": {},
    }
    assert after == {
        "current_period": period | {"total_tokens": 12_000, "total_calls": 151, "api_costs": 12.5},
        "limits": limits,
        "usage_by_provider": {
            "groq": {"tokens": 12_000, "cost": 10.0},
            "deepgram": {"minutes": 45, "cost": 2.5},
        },
    }
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].body["data"]["tokens_left"] == QUOTA - 12_000


def test_history_tells_each_day_with_its_breakdown(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    owner = user(tenants, "ann@example.test")
    for day, provider, figures in (
        ("2023-12-31", "groq", (1, 1, 0, 1)),
        ("2024-01-01", "groq", (4, 400, 0, 0.4)),
        ("2024-01-01", "deepgram", (1, 0, 2, 0.1)),
        ("2024-01-31", "twilio", (3, 0, 7.25, 0.00000001)),
        ("2024-02-01", "groq", (1, 1, 0, 1)),
    ):
        used(tenants, owner, day, provider, figures)

    days = told(tenants, ann, HISTORY + JANUARY)

    assert days == [
        {
            "date": "2024-01-01",
            "total_tokens": 400,
            "total_calls": 5,
            "api_costs": 0.5,
            "breakdown": {"groq_tokens": 400, "deepgram_minutes": 2},
        },
        {
            "date": "2024-01-31",
            "total_tokens": 0,
            "total_calls": 3,
            "api_costs": 0.00000001,
            "breakdown": {"twilio_minutes": 7.25},
        },
    ]


def test_a_range_is_one_of_days_and_of_a_year_at_most(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    expected = {
        "?start_date=2024-01-01&end_date=2024-12-31": "",
        "?start_date=9999-12-31&end_date=9999-12-31": "",
        "?start_date=2024-01-01&end_date=2025-01-01": "end_date",
        "?start_date=2024-01-02&end_date=2024-01-01": "end_date",
        "?start_date=0001-01-01&end_date=9999-12-31": "end_date",
        "?start_date=2024-02-30&end_date=2024-03-01": "start_date",
        "?start_date=20240101&end_date=2024-01-02": "start_date",
        "?start_date=0&end_date=2024-01-02": "start_date",
        "?start_date=2024-01-01%00&end_date=2024-01-02": "start_date",
        "?start_date=2024-01-01T00:00:00&end_date=2024-01-02": "start_date",
        "?start_date=2024-01-01": "end_date",
        "": "start_date",
    }

    answers = {asked: tenants.ask("GET", HISTORY + asked, bearer=ann) for asked in expected}

    assert {asked: _complaint(answer) for asked, answer in answers.items()} == expected


def _complaint(answer: Answer) -> str:
    """Return what a refusal is about; nothing where there is none."""
    if answer.status == 200:
        return ""
    assert (answer.status, answer.body["error"]["code"]) == (400, "VALIDATION_ERROR"), answer
    return str(answer.body["error"]["details"].partition(": ")[0])


def test_what_is_no_record_is_refused_and_counts_nothing(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    unfit: list[dict[str, Any]] = [
        {"key": ""},
        {"key": "n\0l"},
        {"key": "r" * 201},
        {"provider": "openai"},
        {"provider": "deepgram", "tokens": 100},
        {"provider": "deepgram", "minutes": None},
        {"provider": "twilio", "minutes": "1"},
        {"minutes": 1.5},
        {"tokens": -1},
        {"tokens": "100"},
        {"tokens": True},
        {"tokens": 10**30},
        {"tokens": None},
        {"cost": -0.01},
        {"cost": 1e300},
        {"cost": "0.25"},
        {"cost": float("nan")},
        {"cost": float("inf")},
    ]

    complaints = [_complaint(report(tenants, ann, **{"key": "1", **each})) for each in unfit]

    assert [each for each, said in zip(unfit, complaints, strict=True) if not said] == []
    assert totals(tenants, ann) == (0, 0, 0)
    assert report(tenants, ann, "1").status == 201


def test_a_report_that_is_repeated_counts_once_and_another_one_with_its_id_not_at_all(
    tenants: System,
) -> None:
    ann = tenants.register("ann@example.test")

    first = report(tenants, ann, "1", cost=0.1)
    again = report(tenants, ann, "1", cost=0.1)
    others = [
        report(tenants, ann, "1", cost=0.1, tokens=101),
        report(tenants, ann, "1", cost=0.2),
        report(tenants, ann, "1", "deepgram", cost=0.1),
    ]
    small = [report(tenants, ann, "2", cost=0.0000000149).status for _ in range(2)]

    assert (first.status, again.status) == (201, 200)
    assert again.body["data"] == first.body["data"]
    assert {(answer.status, answer.body["error"]["code"]) for answer in others} == {
        (409, "RECORD_ID_TAKEN")
    }
    assert small == [201, 200]
    assert totals(tenants, ann) == (200, 2, 0.10000001)


def test_a_record_tells_when_a_key_was_used_last(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    for provider in ("groq", "deepgram"):
        asked = {"provider": provider, "api_key": "a-key"}
        tenants.ask("POST", KEYS, asked, bearer=ann)

    recorded = report(tenants, ann, "1").body["data"]["recorded_at"]
    report(tenants, ann, "2", "twilio")
    keys = told(tenants, ann, STATUS)

    assert keys["groq"]["last_used"] == recorded
    assert keys["deepgram"]["last_used"] is None
    assert keys["twilio"]["configured"] is False


def test_tokens_end_exactly_at_the_quota(tenants: System) -> None:
    ann = tenants.register("ann@example.test")

    near = report(tenants, ann, "1", tokens=QUOTA - 1)
    beyond = report(tenants, ann, "2", tokens=2)
    edge = report(tenants, ann, "2", tokens=1)
    after = report(tenants, ann, "3", tokens=1)
    unpaid = [report(tenants, ann, "4", tokens=0), report(tenants, ann, "5", "deepgram")]
    again = report(tenants, ann, "2", tokens=1)

    assert (near.status, near.body["data"]["tokens_left"]) == (201, 1)
    assert (beyond.status, beyond.body["error"]["code"]) == (403, "TOKEN_QUOTA_EXCEEDED")
    assert (edge.status, edge.body["data"]["tokens_left"]) == (201, 0)
    assert (after.status, after.body["error"]["code"]) == (403, "TOKEN_QUOTA_EXCEEDED")
    assert [answer.status for answer in unpaid] == [201, 201]
    assert again.status == 200
    assert totals(tenants, ann)[:2] == (QUOTA, 4)


def test_the_quota_is_the_accounts_as_it_is_now_and_of_this_month(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    owner = user(tenants, "ann@example.test")
    first, _ = this_month(tenants)
    ((before,),) = tenants.rows(f"SELECT ('{first}'::date - 1)::text")
    used(tenants, owner, before, "groq", (1, QUOTA, 0, 1))

    new_month = report(tenants, ann, "1", tokens=200)
    tenants.write("UPDATE users SET monthly_token_quota = 100 WHERE id = %(owner)s", owner=owner)
    lowered = report(tenants, ann, "2", tokens=1)
    free = report(tenants, ann, "3", tokens=0)

    assert new_month.body["data"]["tokens_left"] == QUOTA - 200
    assert (lowered.status, lowered.body["error"]["code"]) == (403, "TOKEN_QUOTA_EXCEEDED")
    assert free.body["data"]["tokens_left"] == 0
    assert told(tenants, ann)["current_period"]["total_tokens"] == 200


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_day_is_one_of_utc_wherever_the_database_is(shop: Shop, cache: str, zone: str) -> None:
    """One of the two zones has another date than UTC at any time."""
    bring(shop, "1.0.0", "2.0.0")
    shop.rows(f"ALTER DATABASE {shop.name} SET timezone = '{zone}'")

    with serving("2.0.0", shop, cache) as system:
        ann = system.register("ann@example.test")
        report(system, ann, "1")
        rows = system.rows(
            "SELECT day, (recorded_at AT TIME ZONE 'UTC')::date FROM usage_days, usage_records"
        )
        ((elsewhere,),) = system.rows("SHOW timezone")
        period = told(system, ann)["current_period"]

    ((day, by_utc),) = rows
    assert elsewhere == zone
    assert day == by_utc
    assert period["start_date"] == f"{by_utc:%Y-%m}-01"
    assert period["total_calls"] == 1


def test_each_call_counts_once_on_two_hosts_at_once(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")

    with (
        serving("2.0.0", shop, cache) as one,
        serving("2.0.0", shop, cache) as other,
        ThreadPoolExecutor(8) as crowd,
    ):
        ann = one.register("ann@example.test")
        jobs = [
            (host, f"{number % 60}", "groq" if number % 2 else "twilio")
            for number, host in zip(range(180), cycle((one, other, other)), strict=False)
        ]
        answers = list(crowd.map(lambda job: report(job[0], ann, *job[1:], cost=0.1), jobs))
        found = told(one, ann)
        rows = one.rows("SELECT count(*), sum(tokens), sum(cost) FROM usage_records")

    assert Counter(answer.status for answer in answers) == {201: 60, 200: 120}
    assert found["current_period"]["total_calls"] == 60
    assert found["usage_by_provider"] == {
        "groq": {"tokens": 3_000, "cost": 3.0},
        "twilio": {"minutes": 45, "cost": 3.0},
    }
    assert [(rows[0][0], rows[0][1], float(rows[0][2]))] == [(60, 3_000, 6.0)]


def test_nobody_gets_beyond_the_quota_on_two_hosts_at_once(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")

    with (
        serving("2.0.0", shop, cache) as one,
        serving("2.0.0", shop, cache) as other,
        ThreadPoolExecutor(8) as crowd,
    ):
        ann = one.register("ann@example.test")
        jobs = [
            (host, f"{number}")
            for number, host in zip(range(80), cycle((one, other)), strict=False)
        ]
        answers = list(crowd.map(lambda job: report(*_as(job, ann), tokens=3_000), jobs))
        found = totals(one, ann)

    counted = [answer.body["data"]["tokens_left"] for answer in answers if answer.status == 201]
    refused = Counter(answer.body["error"]["code"] for answer in answers if answer.status == 403)
    assert sorted(counted) == [QUOTA - 3_000 * number for number in range(33, 0, -1)]
    assert refused == {"TOKEN_QUOTA_EXCEEDED": 47}
    assert found[:2] == (99_000, 33)


def _as(job: tuple[System, str], token: str) -> tuple[System, str, str]:
    return job[0], token, job[1]


def test_prometheus_reads_how_calls_and_keys_went(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    tenants.ask("POST", KEYS, {"provider": "twilio", "api_key": "a-key"}, bearer=ann)
    for key, tokens in (("1", 1), ("1", 1), ("1", 2), ("2", QUOTA)):
        report(tenants, ann, key, tokens=tokens)
    report(tenants, ann, "3", "deepgram")
    tenants.rows("UPDATE api_keys SET key_id = 'gone'")
    told(tenants, ann, STATUS)

    assert sorted(figures(tenants)) == [
        'voxflow_api_keys_saved_total{provider="twilio"} 1.0',
        'voxflow_api_keys_unreadable_total{provider="twilio"} 1.0',
        'voxflow_usage_records_total{outcome="counted",provider="deepgram"} 1.0',
        'voxflow_usage_records_total{outcome="counted",provider="groq"} 1.0',
        'voxflow_usage_records_total{outcome="refused",provider="groq"} 2.0',
        'voxflow_usage_records_total{outcome="repeated",provider="groq"} 1.0',
    ]


def test_others_see_and_spend_nothing_of_it(tenants: System) -> None:
    ann, ben = tenants.register("ann@example.test"), tenants.register("ben@example.test")
    report(tenants, ann, "1", tokens=QUOTA)
    used(tenants, user(tenants, "ann@example.test"), "2024-01-01", "groq", (1, 1, 0, 1))

    same_id = report(tenants, ben, "1", tokens=7, cost=0)
    seen = [totals(tenants, ben), totals(tenants, tenants.sign_in(ADMIN))]
    histories = [told(tenants, token, HISTORY + JANUARY) for token in (ben, tenants.sign_in(ADMIN))]
    nobody = [
        tenants.ask("GET", CURRENT),
        tenants.ask("GET", HISTORY + JANUARY),
        tenants.ask("POST", RECORDS, {}),
    ]

    assert same_id.body["data"]["tokens_left"] == QUOTA - 7
    assert seen == [(7, 1, 0), (0, 0, 0)]
    assert histories == [[], []]
    assert [answer.status for answer in nobody] == [401, 401, 401]


def test_a_statement_that_forgets_its_tenant_sees_no_row(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    tenants.ask("POST", KEYS, {"provider": "groq", "api_key": "a-key"}, bearer=ann)
    report(tenants, ann, "1")
    tables = ["api_keys", "usage_days", "usage_records", "audit_log"]
    seen = []

    with connect(tenants.shop.app) as connection:
        for name, value in (("user", ""), ("user", "admin"), ("scope", "all")):
            connection.execute("SELECT set_config(%s, %s, false)", [f"voxflow.{name}", value])
            counts = [
                connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608
                for table in tables
            ]
            seen.append([found[0] for found in counts if found])

    assert seen == [[0] * 4, [0] * 4, [1] * 4]
