"""Administrators see all accounts, limit, close and open them, and read what was done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

from .system import ADMIN, SMOKE, bring, serving

if TYPE_CHECKING:
    from tests.apps.python_app import Answer
    from tests.postgres.own_server import Shop

    from .system import System

USERS, AUDIT = "/api/admin/users", "/api/admin/audit"
ANN = "ann@example.test"
WRONG_PAGES = ("?page=0", "?page=1000001", "?limit=0", "?limit=101", "?page=one", "?limit=1e3")
WRONG_LIMITS = [
    {},
    {"notes": "nothing else"},
    {"max_agents": -1},
    {"max_agents": 1_000_001},
    {"max_agents": "15"},
    {"max_agents": True},
    {"max_agents": 1.5},
    {"monthly_token_quota": -1},
    {"monthly_token_quota": 10**12 + 1},
    {"max_agent": 15},
    {"max_agents": 15, "role": "admin"},
    {"max_agents": 15, "notes": "NUL \0"},
]


def account(system: System, email: str) -> str:
    ((user,),) = system.rows(f"SELECT id FROM users WHERE email = '{email}'")  # noqa: S608
    return str(user)


def listed(system: System, admin: str, query: str = "") -> dict[str, Any]:
    answer = system.ask("GET", USERS + query, bearer=admin)
    assert answer.status == 200, answer
    data: dict[str, Any] = answer.body["data"]
    return data


def limit(system: System, admin: str, email: str, asked: object) -> Answer:
    return system.ask("PUT", f"{USERS}/{account(system, email)}/limits", asked, bearer=admin)


def switch(system: System, admin: str, email: str, asked: object, **headers: str) -> Answer:
    path = f"{USERS}/{account(system, email)}/status"
    return system.ask("PUT", path, asked, bearer=admin, **headers)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def test_an_account_is_told_with_its_agents_and_what_it_used_this_month(tenants: System) -> None:
    admin, ann = tenants.sign_in(ADMIN), tenants.register(ANN)
    for name in ("one", "two"):
        tenants.ask("POST", "/api/agents", {"name": name}, bearer=ann)
    for day, provider, tokens in (
        ("now() AT TIME ZONE 'UTC'", "groq", 700),
        ("now() AT TIME ZONE 'UTC'", "twilio", 50),
        ("date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 day'", "groq", 9000),
        ("date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month'", "groq", 8000),
    ):
        tenants.rows(
            "INSERT INTO usage_days (user_id, day, provider, calls, tokens) "  # noqa: S608
            f"SELECT id, ({day})::date, '{provider}', 3, {tokens} FROM users WHERE email = '{ANN}'"
        )

    found = listed(tenants, admin)

    assert found["users"][-1] == {
        "id": account(tenants, ANN),
        "email": ANN,
        "organization_name": "",
        "subscription_tier": "pro",
        "is_active": True,
        "agent_count": 2,
        "current_usage": {"tokens": 750, "calls": 6},
    }
    assert [each["current_usage"] for each in found["users"][:-1]] == [
        {"tokens": 0, "calls": 0}
    ] * 2
    assert found["pagination"] == {"page": 1, "limit": 20, "total": 3, "pages": 1}


def test_pages_hold_everybody_once_and_end(tenants: System) -> None:
    tenants.write(
        "INSERT INTO users (id, email, password) "
        "SELECT 'u' || n, 'u' || n || '@example.test', '!' FROM generate_series(1, 18) n"
    )
    admin = tenants.sign_in(ADMIN)

    pages = [listed(tenants, admin, f"?page={page}&limit=7") for page in (1, 2, 3, 4)]
    seen = [each["id"] for page in pages for each in page["users"]]

    assert [len(page["users"]) for page in pages] == [7, 7, 6, 0]
    assert len(set(seen)) == 20
    assert pages[3]["pagination"] == {"page": 4, "limit": 7, "total": 20, "pages": 3}
    assert listed(tenants, admin, "?limit=10")["pagination"]["pages"] == 2


def test_a_page_that_cannot_be_is_refused(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)

    for query in WRONG_PAGES:
        for path in (USERS, AUDIT):
            answer = tenants.ask("GET", path + query, bearer=admin)
            assert code(answer) == (400, "VALIDATION_ERROR"), query


def test_nobody_but_administrators_gets_in(tenants: System) -> None:
    ann = tenants.register(ANN, "enterprise")
    her = f"{USERS}/{account(tenants, ANN)}"
    asked = {"max_agents": 1000}

    for method, path, body in (
        ("GET", USERS, None),
        ("GET", her, None),
        ("GET", AUDIT, None),
        ("PUT", her + "/limits", asked),
        ("PUT", her + "/status", {"is_active": True}),
    ):
        assert code(tenants.ask(method, path, body, bearer=ann)) == (403, "FORBIDDEN")
        assert code(tenants.ask(method, path, body)) == (401, "UNAUTHORIZED")
        assert tenants.ask(method, path, body, bearer=tenants.sign_in(SMOKE)).status == 403
    assert tenants.rows("SELECT count(*) FROM audit_log") == [(0,)]
    assert tenants.rows(f"SELECT max_agents FROM users WHERE email = '{ANN}'") == [(100,)]  # noqa: S608


def test_a_lower_limit_binds_at_once_and_takes_nothing_away(tenants: System) -> None:
    admin, ann = tenants.sign_in(ADMIN), tenants.register(ANN)
    for name in ("one", "two"):
        tenants.ask("POST", "/api/agents", {"name": name}, bearer=ann)

    lowered = limit(tenants, admin, ANN, {"max_agents": 1})
    refused = tenants.ask("POST", "/api/agents", {"name": "three"}, bearer=ann)
    kept = tenants.ask("GET", "/api/agents", bearer=ann).body["data"]
    limit(tenants, admin, ANN, {"max_agents": 3})
    made = tenants.ask("POST", "/api/agents", {"name": "three"}, bearer=ann)

    assert (lowered.status, lowered.body["data"]["max_agents"]) == (200, 1)
    assert code(refused) == (403, "AGENT_LIMIT_EXCEEDED")
    assert [each["name"] for each in kept] == ["one", "two"]
    assert made.status == 201


def test_a_new_quota_binds_at_once(tenants: System) -> None:
    admin, ann = tenants.sign_in(ADMIN), tenants.register(ANN)

    def report(number: int) -> Answer:
        call = {"record_id": f"call-{number}", "provider": "groq", "tokens": 600, "cost": 0.5}
        return tenants.ask("POST", "/api/usage/records", call, bearer=ann)

    before = report(1)
    limit(tenants, admin, ANN, {"monthly_token_quota": 1000})
    refused = report(2)
    limit(tenants, admin, ANN, {"monthly_token_quota": 1200})

    assert (before.status, report(3).status) == (201, 201)
    assert code(refused) == (403, "TOKEN_QUOTA_EXCEEDED")


def test_what_is_not_named_stays_and_the_answer_has_the_account(tenants: System) -> None:
    admin, ann = tenants.sign_in(ADMIN), tenants.register(ANN)

    changed = limit(tenants, admin, ANN, {"monthly_token_quota": 150_000, "max_agents": None})
    profile = tenants.ask("GET", "/api/auth/profile", bearer=ann).body["data"]
    told = tenants.ask("GET", f"{USERS}/{account(tenants, ANN)}", bearer=admin).body["data"]

    assert (profile["max_agents"], profile["monthly_token_quota"]) == (10, 150_000)
    assert told == changed.body["data"]
    assert told == {name: profile[name] for name in profile} | {
        "agent_count": 0,
        "current_usage": {"tokens": 0, "calls": 0},
    }


def test_a_change_is_kept_with_what_was_before(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)
    tenants.register(ANN)
    asked = {"max_agents": 15, "monthly_token_quota": 150_000, "notes": "trial"}

    path = f"{USERS}/{account(tenants, ANN)}/limits"
    tenants.ask("PUT", path, asked, bearer=admin, X_Request_Id="req_limits_of_ann")
    limit(tenants, admin, ANN, {"max_agents": 20})

    assert tenants.rows("SELECT actor, action, subject, details FROM audit_log ORDER BY id") == [
        ("admin", "account.limited", account(tenants, ANN), details)
        for details in (
            {
                "before": {"max_agents": 10, "monthly_token_quota": 100_000},
                "after": {"max_agents": 15, "monthly_token_quota": 150_000},
                "notes": "trial",
            },
            {"before": {"max_agents": 15}, "after": {"max_agents": 20}, "notes": ""},
        )
    ]
    assert tenants.rows("SELECT request_id FROM audit_log ORDER BY id")[0] == ("req_limits_of_ann",)


def test_what_cannot_be_kept_in_the_audit_log_is_not_done(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)
    tenants.register(ANN)
    tenants.write("ALTER TABLE audit_log ADD CONSTRAINT full_disk CHECK (false) NOT VALID")

    assert limit(tenants, admin, ANN, {"max_agents": 99}).status == 500
    assert switch(tenants, admin, ANN, {"is_active": False}).status == 500
    assert tenants.rows(f"SELECT max_agents, is_active FROM users WHERE email = '{ANN}'") == [  # noqa: S608
        (10, True)
    ]


def test_changes_at_once_are_kept_as_a_chain(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)
    tenants.register(ANN)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: limit(tenants, admin, ANN, {"max_agents": n}), range(20, 36)))

    kept = [row[0] for row in tenants.rows("SELECT details FROM audit_log ORDER BY id")]
    befores = [each["before"]["max_agents"] for each in kept]
    afters = [each["after"]["max_agents"] for each in kept]
    assert sorted(befores + afters[-1:]) == sorted([10, *range(20, 36)])


def test_limits_that_cannot_be_change_nothing(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)
    tenants.register(ANN)

    for asked in WRONG_LIMITS:
        assert code(limit(tenants, admin, ANN, asked)) == (400, "VALIDATION_ERROR"), asked
    assert tenants.rows("SELECT count(*) FROM audit_log") == [(0,)]
    assert tenants.rows(
        f"SELECT role, max_agents, monthly_token_quota FROM users WHERE email = '{ANN}'"  # noqa: S608
    ) == [("user", 10, 100_000)]


def test_an_account_that_is_not_there_is_not_found(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)

    for user, (method, rest, asked) in product(
        ("nobody", "%00", "%27", "a" * 3000),
        (
            ("GET", "", None),
            ("PUT", "/limits", {"max_agents": 1}),
            ("PUT", "/status", {"is_active": False}),
        ),
    ):
        path = f"{USERS}/{user}{rest}"
        assert code(tenants.ask(method, path, asked, bearer=admin)) == (404, "NOT_FOUND")
    assert tenants.rows("SELECT count(*) FROM audit_log") == [(0,)]


def test_a_closed_account_is_refused_at_its_next_request_until_it_is_opened(
    tenants: System,
) -> None:
    admin, ann, legacy = tenants.sign_in(ADMIN), tenants.register(ANN), tenants.sign_in(SMOKE)
    closed = {"is_active": False, "notes": "unpaid"}

    assert switch(tenants, admin, ANN, closed).body["data"]["is_active"] is False
    switch(tenants, admin, SMOKE, closed)
    refused = [tenants.ask("GET", "/api/agents", bearer=bearer).status for bearer in (ann, legacy)]
    wrong = tenants.ask("POST", "/api/auth/login", {"email": ANN, "password": "a wrong one"})
    right = tenants.ask(
        "POST", "/api/auth/login", {"email": ANN, "password": "a password of tests"}
    )
    switch(tenants, admin, ANN, {"is_active": True})

    assert refused == [401, 401]
    assert code(right) == code(wrong) == (401, "INVALID_CREDENTIALS")
    assert tenants.ask("GET", "/api/agents", bearer=ann).status == 200
    assert tenants.rows("SELECT action, details FROM audit_log ORDER BY id")[::2] == [
        (
            "account.closed",
            {"before": {"is_active": True}, "after": {"is_active": False}, "notes": "unpaid"},
        ),
        (
            "account.opened",
            {"before": {"is_active": False}, "after": {"is_active": True}, "notes": ""},
        ),
    ]


def test_somebody_stays_who_can_open_accounts(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)
    tenants.register(ANN)
    tenants.write("UPDATE users SET role = 'admin' WHERE email = %(email)s", email=ANN)
    second = tenants.sign_in(ANN)

    assert code(switch(tenants, second, ANN, {"is_active": False})) == (409, "ACCOUNT_NEEDED")
    assert code(switch(tenants, second, ADMIN, {"is_active": False})) == (409, "ACCOUNT_NEEDED")
    assert switch(tenants, admin, ANN, {"is_active": False}).status == 200
    assert tenants.ask("GET", USERS, bearer=second).status == 401
    assert listed(tenants, admin)["pagination"]["total"] == 3


def test_the_audit_log_is_read_latest_first_by_page_and_by_name(tenants: System) -> None:
    admin = tenants.sign_in(ADMIN)
    tenants.register(ANN)
    for agents in (1, 2, 3, 4, 5):
        limit(tenants, admin, ANN, {"max_agents": agents})
    switch(tenants, admin, SMOKE, {"is_active": False})

    def read(query: str) -> tuple[list[Any], dict[str, int]]:
        data = tenants.ask("GET", AUDIT + query, bearer=admin).body["data"]
        return data["entries"], data["pagination"]

    entries, pagination = read("?page=2&limit=4")
    ((closed,), _) = read(f"?subject={account(tenants, SMOKE)}")

    assert [each["details"]["after"] for each in entries] == [{"max_agents": 2}, {"max_agents": 1}]
    assert pagination == {"page": 2, "limit": 4, "total": 6, "pages": 2}
    assert set(closed) == {"id", "at", "actor", "action", "subject", "details", "request_id"}
    assert (closed["actor"], closed["action"]) == ("admin", "account.closed")
    assert read("?action=account.limited&limit=1")[1]["total"] == 5
    assert read("?actor=nobody") == ([], {"page": 1, "limit": 20, "total": 0, "pages": 0})


def test_3_0_0_has_the_same(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0", "3.0.0", contract=("2.0.0", "3.0.0"))

    with serving("3.0.0", shop, cache) as system:
        admin, ann = system.sign_in(ADMIN), system.register(ANN)
        limited = limit(system, admin, ANN, {"max_agents": 0})
        refused = system.ask("POST", "/api/agents", {"name": "one"}, bearer=ann)
        total = listed(system, admin)["pagination"]["total"]

    assert (limited.status, total) == (200, 3)
    assert code(refused) == (403, "AGENT_LIMIT_EXCEEDED")
