"""Legacy clients go on, whichever version answers, and see what is everybody's alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.apps.python_app import ROOT

from changeover.executors.migrate import answered
from changeover.release import load_release

from .system import ADMIN, SMOKE, bring, legacy_token, serving

if TYPE_CHECKING:
    from tests.postgres.own_server import Shop

    from .system import System


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0", "2.1.0"])
def test_what_1_0_0_promised_is_kept(shop: Shop, cache: str, version: str) -> None:
    bring(shop, "1.0.0", *(["2.0.0"] if version != "1.0.0" else []))

    with serving(version, shop, cache) as system:
        token = system.sign_in(SMOKE)
        made = system.ask("POST", "/api/agents", {"name": "Ada"}, bearer=token)
        about = {"name": "Spring", "agent_id": made.body["agent"]["id"]}
        campaign = system.ask("POST", "/api/campaigns", about, bearer=token)
        agents = system.ask("GET", "/api/agents", bearer=token)
        campaigns = system.ask("GET", "/api/campaigns", bearer=token)
        unfit = system.ask("POST", "/api/agents", {"name": ""}, bearer=token)

    assert (made.status, campaign.status, unfit.status) == (201, 201, 400)
    assert agents.body == {"agents": [made.body["agent"]]}
    assert campaigns.body == {"campaigns": [campaign.body["campaign"]]}
    assert unfit.body["status"] == 400
    assert unfit.body["error"].startswith("name: ")


def test_what_1_0_0_made_is_the_administrators_and_still_everybodys(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0")
    with serving("1.0.0", shop, cache) as old:
        token = old.sign_in(SMOKE)
        old.ask("POST", "/api/agents", {"name": "before"}, bearer=token)
        bring(shop, "2.0.0")
        old.ask("POST", "/api/agents", {"name": "meanwhile"}, bearer=token)
        with serving("2.0.0", shop, cache) as new:
            ann = new.register("ann@example.test")
            new.ask("POST", "/api/agents", {"name": "hers"}, bearer=ann)
            names = {
                who: [
                    each["name"] for each in new.ask("GET", "/api/agents", bearer=bearer).body[key]
                ]
                for who, bearer, key in (
                    ("admin", new.sign_in(ADMIN), "data"),
                    ("legacy", token, "agents"),
                    ("tenant", ann, "data"),
                )
            }
        after = old.ask("GET", "/api/agents", bearer=token).body["agents"]

    assert names == {
        "admin": ["before", "meanwhile"],
        "legacy": ["before", "meanwhile"],
        "tenant": ["hers"],
    }
    assert [each["name"] for each in after] == ["before", "meanwhile"]


def test_each_use_is_counted_and_told_from_2_1_0_on(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    dates = {"LEGACY_DEPRECATED_ON": "2026-06-01", "LEGACY_REMOVED_ON": "2026-12-01"}

    with serving("2.1.0", shop, cache, **dates) as system:
        token = legacy_client(system, "old@voxflow.test")
        answer = system.ask("GET", "/api/agents", bearer=token)
        system.ask("GET", "/api/agents", bearer=token)
        system.ask("GET", "/api/agents", bearer=system.sign_in(SMOKE))
        other = system.ask("GET", "/api/agents", bearer=system.register("ann@example.test"))
        used = system.rows("SELECT route, requests FROM deprecated_usage")

    assert answer.headers["deprecation"] == "@1780272000"
    assert answer.headers["sunset"] == "Tue, 01 Dec 2026 00:00:00 GMT"
    assert "deprecation" not in other.headers
    assert used == [("GET /api/agents", 2)]


def test_3_0_0_knows_tenants_alone(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0", "3.0.0", contract=("2.0.0", "3.0.0"))

    with serving("3.0.0", shop, cache) as system:
        token = system.sign_in(SMOKE)
        agents = system.ask("GET", "/api/agents", bearer=token)
        ((user,),) = system.rows(f"SELECT id FROM users WHERE email = '{SMOKE}'")  # noqa: S608
        old = system.ask("GET", "/api/agents", bearer=legacy_token(user, SMOKE))

    assert agents.body == {"success": True, "data": []}
    assert (old.status, old.body["error"]["code"]) == (401, "TOKEN_OUTDATED")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"LEGACY_DEPRECATED_ON": "soon"}, "LEGACY_DEPRECATED_ON is a day such as 2026-12-01"),
        ({"LEGACY_REMOVED_ON": "2026-13-01"}, "and it is '2026-13-01'"),
        (
            {"LEGACY_DEPRECATED_ON": "2026-12-02", "LEGACY_REMOVED_ON": "2026-12-01"},
            "LEGACY_REMOVED_ON is before LEGACY_DEPRECATED_ON",
        ),
    ],
)
def test_a_date_that_is_none_ends_the_start(
    shop: Shop, cache: str, variables: dict[str, str], said: str
) -> None:
    with (
        pytest.raises(AssertionError, match=re.escape(said)),
        serving("2.1.0", shop, cache, **variables),
    ):
        pass


def test_whatever_a_legacy_route_answers_is_announced(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    guide = "https://guide.test/move"
    dates = {"LEGACY_DEPRECATED_ON": "2026-06-01", "LEGACY_REMOVED_ON": "2026-12-01"}

    with serving("2.1.0", shop, cache, LEGACY_GUIDE_URL=guide, **dates) as system:
        token = legacy_client(system, "old@voxflow.test")
        unfit = system.ask("POST", "/api/agents", {"name": ""}, bearer=token)
        system.write("DROP TABLE deprecated_usage")
        failed = system.ask("GET", "/api/agents", bearer=token)

    assert (unfit.status, failed.status) == (400, 500)
    for answer in (unfit, failed):
        assert answer.headers["deprecation"] == "@1780272000"
        assert answer.headers["sunset"] == "Tue, 01 Dec 2026 00:00:00 GMT"
        assert answer.headers["link"] == (
            f'<{guide}>; rel="deprecation"; type="text/html", '
            f'<{guide}>; rel="sunset"; type="text/html"'
        )


def test_nothing_is_announced_before_2_1_0(tenants: System) -> None:
    answer = tenants.ask("GET", "/api/agents", bearer=tenants.sign_in(SMOKE))

    assert answer.headers.keys() & {"deprecation", "sunset", "link"} == set()


def legacy_client(system: System, email: str) -> str:
    """Make an account as 1.0.0 did, and return a token that 1.0.0 gave it."""
    system.write("INSERT INTO users (id, email, password) VALUES (%(id)s, %(id)s, '!')", id=email)
    return legacy_token(email, email)


def preconditions(system: System) -> dict[str, list[str]]:
    """Return what keeps 3.0.0 from being deployed, as preflight tells it."""
    declared = load_release(ROOT, "voxflow", "3.0.0").preconditions
    answers = answered(system.shop.admin, declared)
    assert {answer.state for answer in answers} <= {"holds", "broken"}
    return {each.precondition.id: list(each.rows) for each in answers}


def test_3_0_0_waits_for_whoever_asks_what_it_removes(tenants: System) -> None:
    ann, ben = (legacy_client(tenants, name) for name in ("ann@voxflow.test", "ben@voxflow.test"))
    silent = legacy_client(tenants, "silent@voxflow.test")
    nobody = preconditions(tenants)
    tenants.ask("GET", "/api/agents", bearer=ann)
    tenants.ask("POST", "/api/agents", {"name": "anns"}, bearer=ann)
    for _ in range(2):
        tenants.ask("GET", "/api/agents", bearer=ben)
    tenants.ask("POST", "/api/agents", {"name": "silents"}, bearer=silent)
    tenants.write(
        "UPDATE deprecated_usage SET last_used = now() - interval '91 days' WHERE user_id LIKE 'silent%%'"
    )
    tenants.ask("GET", "/api/agents", bearer=tenants.sign_in(SMOKE))
    ((today,),) = tenants.rows("SELECT now()::date::text")

    assert set(map(tuple, nobody.values())) == {()}
    assert preconditions(tenants) == {
        "nobody-asks-legacy-routes": [
            f"GET /api/agents (clients: 2, requests: 3, last on {today})",
            f"POST /api/agents (clients: 1, requests: 1, last on {today})",
        ],
        "nobody-leaves-agents-behind": [
            "accounts: 1, agents: 1, which would stay the administrator's for good"
        ],
    }

    tenants.ask("POST", "/api/migration/user-data", bearer=ann)
    moved = preconditions(tenants)
    tenants.write("UPDATE deprecated_usage SET last_used = now() - interval '15 days'")

    assert moved["nobody-leaves-agents-behind"] == []
    assert moved["nobody-asks-legacy-routes"] == [
        f"GET /api/agents (clients: 1, requests: 2, last on {today})"
    ]
    assert preconditions(tenants)["nobody-asks-legacy-routes"] == []
