"""VoxFlow beside NOX API: from agents of everybody to tenants and on, while both kinds of clients work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .beside import BESIDE
from .live import user_of
from .voxflow import (
    AGENTS,
    ANN,
    GIVE,
    LEGACY,
    Voxflow,
    bring,
    moment,
    under_load,
)
from .voxflow_clients import AGENTS_PATH, Client

if TYPE_CHECKING:
    from .conftest import Lab
    from .live import Event

pytestmark = pytest.mark.lab
LEFT = ("nobody-asks-legacy-routes", "nobody-leaves-agents-behind")
WAIVED = [word for name in LEFT for word in ("--waive", name)]
USES = ("POST /api/agents (clients: 2, ", "GET /api/agents (clients: 1, ")
BEFORE = "SELECT md5(string_agg(id || name || description || voice || created_at, ',' ORDER BY id)) FROM agents WHERE name LIKE 'before %'"
UNOWNED = "SELECT count(*) FROM agents WHERE shared AND owner_id IS DISTINCT FROM 'admin'"
SHARED = "SELECT count(*) FROM agents WHERE shared"
# Of the tenant; smoke checks save keys, too.
BY_SECRET = "SELECT provider || ' ' || key_id FROM api_keys JOIN users ON users.id = user_id WHERE email LIKE 'tia@%'"
PROVED = "SELECT bool_and(convalidated) FROM pg_constraint WHERE conname LIKE 'agents_own%'"


@pytest.fixture(scope="module")
def voxflow(live_single: Lab, tmp_path_factory: pytest.TempPathFactory) -> Voxflow:
    """Bring a host on which another app is live to this one, too; 1.0.0 serves, with what was made before."""
    work = tmp_path_factory.mktemp("voxflow")
    user = user_of(live_single, work)
    user.link_what_provisions()
    bring(user)
    made = Voxflow(user, work)
    made.run("provision")
    made.run("deploy", "1.0.0", "--yes")
    made.seed()
    return made


@pytest.fixture(scope="module")
def ann(voxflow: Voxflow) -> Client:
    return Client(voxflow, ANN)


@pytest.fixture(scope="module")
def tenant(voxflow: Voxflow) -> Client:
    return Client(voxflow, "tia@tenant.test", legacy=False)


def test_legacy_clients_notice_nothing_while_everybody_s_agents_get_an_owner(
    voxflow: Voxflow, ann: Client
) -> None:
    before = voxflow.sql(BEFORE)

    with under_load(voxflow, "to-tenants") as load, ann.at_work():
        load.events += voxflow.run("deploy", "2.0.0", "--yes")

    findings, found = load.judged()
    assert findings == []
    assert ann.failed == []
    begun, left = (moment(load.events, name) for name in ("backfill", "switch"))
    # 1.0.0 served and wrote while it was filled in, and after it.
    meanwhile = [each for each in found.requests if begun < each.start and each.end < left]
    assert {str(each.release).partition("-")[0] for each in meanwhile} == {"1.0.0"}
    assert voxflow.sql(UNOWNED) == "0"
    assert voxflow.sql(BEFORE) == before
    made = len(found.requests) + len(ann.made)
    assert voxflow.sql(SHARED) == str(AGENTS + made)


def test_after_a_way_back_what_was_everybody_s_is_there_and_no_tenant_s_is_seen(
    voxflow: Voxflow, ann: Client, tenant: Client
) -> None:
    before = voxflow.sql(BEFORE)
    tenant.register()
    with tenant.at_work():
        pass
    assert tenant.failed == []
    assert tenant.agents() == tenant.made

    with under_load(voxflow, "back-and-forth") as load, ann.at_work():
        load.events += voxflow.run("rollback", "--yes")
        seen = ann.agents()
        load.events += voxflow.run("deploy", "2.0.0", "--yes")

    findings, found = load.judged()
    assert findings == []
    assert ann.failed == []
    assert {str(each.release).partition("-")[0] for each in found.requests} == {"1.0.0", "2.0.0"}
    assert set(seen) & set(tenant.made) == set()
    assert len(seen) > AGENTS
    assert voxflow.sql(BEFORE) == before
    assert tenant.agents() == tenant.made
    assert set(ann.agents()) & set(tenant.made) == set()


def test_what_goes_is_announced_while_both_kinds_of_clients_work(
    voxflow: Voxflow, ann: Client, tenant: Client
) -> None:
    with under_load(voxflow, "announced") as load, ann.at_work(), tenant.at_work():
        load.events += voxflow.run("deploy", "2.1.0", "--yes")

    findings, _ = load.judged()
    assert (findings, ann.failed, tenant.failed) == ([], [], [])
    ann.agents()
    tenant.agents()
    told = [{"deprecation", "sunset"} & set(each.headers) for each in (ann, tenant)]
    assert told == [{"deprecation", "sunset"}, set()]


def test_keys_of_tenants_go_to_a_new_secret_by_a_task_while_they_are_used(
    voxflow: Voxflow, tenant: Client
) -> None:
    saved = tenant.ask("POST", "/api/api-keys", {"provider": "groq", "api_key": "gsk-of-tia"})
    before = voxflow.sql(BY_SECRET)
    voxflow.user.edit_vault(draw_another_secret)

    with tenant.at_work():
        voxflow.run("deploy", "2.1.0", "--yes")
        foretold, done, again = (
            next(
                each
                for each in voxflow.run("task", "run", "encrypt-keys", "--yes", *words)
                if each["type"] == "task-ended"
            )
            for words in (["--dry-run"], ["--set", "batch=10"], ["--set", "batch=11"])
        )

    assert (saved.status, before, voxflow.sql(BY_SECRET)) == (200, "groq 1", "groq 2")
    assert foretold["answer"]["would_encrypt"] == done["answer"]["encrypted"] > 0
    assert again["answer"]["encrypted"] == 0
    assert again["answer"]["by_first"] == again["answer"]["keys"]
    assert tenant.failed == []
    told = tenant.ask("GET", "/api/api-keys/status").body["data"]["groq"]
    assert (told["configured"], told["is_active"]) == (True, True)


def draw_another_secret(secrets: Event) -> None:
    """Have a second secret encrypt from now on; the first one, which has no id, still decrypts."""
    known = secrets["changeover_secrets"][Voxflow.app]
    known["API_KEYS_SECRET"] = f"2:{'5c' * 32},1:{known['API_KEYS_SECRET']}"


def test_the_version_without_them_is_refused_while_somebody_uses_them(voxflow: Voxflow) -> None:
    before = voxflow.condition()

    checked = voxflow.error("preflight", "3.0.0", status=6)
    error = voxflow.error("deploy", "3.0.0", "--yes", status=6)
    half = voxflow.error("deploy", "3.0.0", "--yes", *WAIVED[:2], status=6)
    unknown = voxflow.error("deploy", "3.0.0", "--yes", "--waive", "everything", status=2)

    assert voxflow.condition() == before
    assert error["message"].startswith("not met: no legacy client has asked a route that this")
    assert error["message"].endswith("; nothing was changed")
    assert checked["message"] in error["message"]
    assert [each for each in USES if each not in error["message"]] == []
    assert f"; {' '.join(WAIVED)} goes on all the same" in error["next"]
    assert unknown["next"] == f"name one of: {LEFT[0]} (3.0.0), {LEFT[1]} (3.0.0)"
    assert half["message"].startswith("not met: who asked in the last 90 days as a legacy client")


def test_it_is_deployed_where_somebody_says_so_and_taken_back(
    voxflow: Voxflow, ann: Client, tenant: Client
) -> None:
    with tenant.at_work():
        deployed = voxflow.run("deploy", "3.0.0", "--yes", *WAIVED)
    legacy = ann.ask("GET", AGENTS_PATH)
    report = next(each for each in voxflow.run("report") if each["type"] == "report")
    with tenant.at_work():
        voxflow.run("rollback", "--yes")

    assert tenant.failed == []
    # What 1.0.0 promised is gone, as the preconditions said.
    assert (legacy.status, legacy.body) == (200, {"success": True, "data": []})
    assert [each["id"] for each in deployed if each["type"] == "waived"] == [*LEFT]
    assert f"waived: {', '.join(LEFT)}" in next(
        each["says"] for each in report["steps"] if each["step"] == "preflight"
    )
    assert ann.sign_in().status == 200
    assert set(ann.made) <= set(ann.agents())


def test_it_is_deployed_once_everybody_has_moved_and_the_transition_is_ended(
    voxflow: Voxflow, ann: Client, tenant: Client
) -> None:
    ann.legacy = False
    for email in LEGACY:
        client = ann if email == ANN else Client(voxflow, email, legacy=False)
        voxflow.sql(GIVE, email=email)
        client.sign_in()
        moved = client.ask("POST", "/api/migration/user-data")
        assert (email, moved.status) == (email, 200), moved
    ann.sign_in()
    # What it made by 1.0.0, which kept no makers, stays everybody's.
    ann.made = ann.agents()
    assert ann.made
    before = voxflow.sql("SELECT count(*) FROM agents")

    with tenant.at_work(), ann.at_work():
        voxflow.run("preflight", "3.0.0")
        voxflow.run("deploy", "3.0.0", "--yes")
        voxflow.run("finalize", "--yes")

    assert (tenant.failed, ann.failed) == ([], [])
    assert set(ann.made) <= set(ann.agents())
    assert set(tenant.made) <= set(tenant.agents())
    assert int(voxflow.sql("SELECT count(*) FROM agents")) >= int(before)
    assert voxflow.sql(PROVED) == "t"
    assert [
        each["id"] for each in voxflow.run("db", "status") if each.get("state") == "pending"
    ] == []


def test_the_app_beside_it_serves_as_before(voxflow: Voxflow) -> None:
    done = voxflow.user.run("smoke", "--app", BESIDE, "--json")

    assert done.returncode == 0, done.stdout + done.stderr
