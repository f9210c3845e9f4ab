"""Onboarding beside NOX API: to its newer versions and back, and a step to its second, while users go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.apps.onboarding.desk import MIGRATE

from .beside import BESIDE
from .live import CHECKOUT, User
from .onboarding import BUSY, QUIET, Onboarding, under_load
from .voxflow_clients import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Lab

pytestmark = pytest.mark.lab
PROVISION_SECONDS = 1500
ROWS = "SELECT count(*) FROM onboarding_progress WHERE step_id = :'step' AND version = :'version'"
# Both steps weigh the same before, and the busy one three times as much as the other one after.
PERCENTS = """
    SELECT DISTINCT percent FROM onboarding_users WHERE starts_with(user_id, :'begin') ORDER BY 1"""


@pytest.fixture(scope="module")
def onboarding(live_single: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Onboarding]:
    """Give a lab on which NOX API is live this app, too; 1.0.0 serves."""
    live_single.changeover("lab", "up", "--app", BESIDE, "--app", Onboarding.app)
    inventory = live_single.identity.inventory
    user = User(lab=live_single, inventory=inventory, root=CHECKOUT, before=[])
    made = Onboarding(user, tmp_path_factory.mktemp("onboarding"))
    live_single.changeover("provision", "--env", str(inventory), seconds=PROVISION_SECONDS)
    made.run("deploy", "1.0.0", "--yes")
    made.seed()
    yield made
    live_single.changeover("lab", "up", "--app", BESIDE)


@pytest.fixture(scope="module")
def beside(onboarding: Onboarding) -> str:
    return colour_beside(onboarding)


def colour_beside(onboarding: Onboarding) -> str:
    """Return which release of the other app is live."""
    done = onboarding.user.run("status", "--app", BESIDE, "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    colour: str = next(each for each in told if each["type"] == "host")["live"]
    return colour


def keeps_both_promises(onboarding: Onboarding) -> None:
    onboarding.run("smoke", "--pack", "users")
    onboarding.run("smoke", "--pack", "administrators")


def test_what_2_0_0_adds_is_not_there_before(onboarding: Onboarding, beside: str) -> None:
    assert beside
    onboarding.run("smoke", "--pack", "users")

    onboarding.run("smoke", "--pack", "administrators", status=6)
    told = [
        onboarding.administer("GET", f"{MIGRATE}?stepId={BUSY}"),
        onboarding.administer("POST", body={"stepId": BUSY, "fromVersion": 1, "toVersion": 2}),
    ]

    assert [each.status for each in told] == [404, 404]


def test_users_lose_nothing_while_2_0_0_comes(onboarding: Onboarding) -> None:
    with under_load(onboarding) as load:
        load.events += onboarding.run("deploy", "2.0.0", "--yes")

    assert load.judged() == ([], {"1.0.0", "2.0.0"})
    assert set(load.beside) == {"200"}
    assert onboarding.sql(PERCENTS, begin=load.begin) == "50"
    keeps_both_promises(onboarding)


def test_users_lose_nothing_while_their_step_goes_to_a_new_version(onboarding: Onboarding) -> None:
    with under_load(onboarding) as load:
        foreseen = onboarding.migrate(BUSY, dry=True, weight=90)
        quiet = [onboarding.migrate(QUIET, dry=dry) for dry in (True, False)]
        migrated = onboarding.migrate(BUSY, dry=False, weight=90)

    assert load.judged() == ([], {"2.0.0"})
    assert load.versions == {1, 2}
    assert quiet == [{"usersAffected": 500, "progressCopied": 300, "progressReset": 200}] * 2
    # Users went on in between: what was foreseen is what was there, and all that came is copied.
    assert 0 < foreseen["usersAffected"] <= migrated["usersAffected"]
    assert str(migrated["usersAffected"]) == onboarding.sql(ROWS, step=BUSY, version=1)
    assert migrated["progressReset"] == 0
    assert onboarding.sql(PERCENTS, begin=load.begin) == "75"
    assert onboarding.sql(PERCENTS, begin="before ").split() == ["0", "25"]


def test_users_lose_nothing_on_the_way_back_and_forward_again(onboarding: Onboarding) -> None:
    with under_load(onboarding) as load:
        load.events += onboarding.run("rollback", "--yes")
        onboarding.run("smoke", "--pack", "users")
        load.events += onboarding.run("deploy", "2.0.0", "--yes")

    assert load.judged() == ([], {"1.0.0", "2.0.0"})
    # 1.0.0 goes on with the version that it never brought.
    assert load.versions == {2}
    assert set(load.beside) == {"200"}
    assert onboarding.sql(PERCENTS, begin=load.begin) == "75"


def test_both_promises_hold_once_2_1_0_is_there(onboarding: Onboarding) -> None:
    with under_load(onboarding) as load:
        load.events += onboarding.run("deploy", "2.1.0", "--yes")

    assert load.judged() == ([], {"2.0.0", "2.1.0"})
    keeps_both_promises(onboarding)


def test_users_lose_nothing_while_their_step_goes_chunk_by_chunk(onboarding: Onboarding) -> None:
    with under_load(onboarding) as load:
        moved = onboarding.migrate(BUSY, dry=False, since=2, chunk=100, weight=30)

    assert load.judged() == ([], {"2.1.0"})
    assert load.versions == {2, 3}
    assert moved["usersAffected"] > 2 * 100
    assert str(moved["usersAffected"]) == onboarding.sql(ROWS, step=BUSY, version=2)
    assert onboarding.sql(PERCENTS, begin=load.begin) == "50"


def test_whoever_analyses_hears_of_each_migration_once_and_in_its_order(
    onboarding: Onboarding,
) -> None:
    until(lambda: onboarding.sql("SELECT count(*) FROM outbox") == "0", "events are not sent")

    told = onboarding.heard()

    assert len({each["id"] for each in told}) == len(told)
    moved = {
        step: [
            (each["data"]["fromVersion"], each["data"]["usersAffected"])
            for each in told
            if each["type"] == "onboarding.step_migrated" and each["data"]["stepId"] == step
        ]
        for step in (BUSY, QUIET)
    }
    counted = {
        step: [
            (since, int(onboarding.sql(ROWS, step=step, version=since)))
            for since in range(1, versions)
        ]
        for step, versions in ((BUSY, 3), (QUIET, 2))
    }
    assert moved == counted
    assert "onboarding.percent_changed" in {each["type"] for each in told}


def test_the_app_beside_it_serves_as_before(onboarding: Onboarding, beside: str) -> None:
    done = onboarding.user.run("smoke", "--app", BESIDE, "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert colour_beside(onboarding) == beside
