"""The packs of smoke checks, against each version: contracts are kept, and end where they are said to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.apps.fuzz import on_a_port
from tests.apps.python_app import ROOT

from changeover import release
from changeover.executors import smoke
from changeover.executors.smoke.values import Target

from .system import ADMIN, APP, PASSWORD, SMOKE, bring, serving

if TYPE_CHECKING:
    from tests.postgres.own_server import Shop

    from .system import System

SCHEMA = {
    "1.0.0": ["1.0.0"],
    "2.0.0": ["1.0.0", "2.0.0"],
    "2.1.0": ["1.0.0", "2.0.0"],
    "3.0.0": ["1.0.0", "2.0.0", "3.0.0"],
}
NAME = "voxflow.test"


def asked(system: System, pack: str) -> smoke.SmokeOutcome:
    """Ask the checks of a pack."""
    environment = {
        "SMOKE_EMAIL": SMOKE,
        "SMOKE_PASSWORD": PASSWORD,
        "ADMIN_EMAIL": ADMIN,
        "ADMIN_PASSWORD": PASSWORD,
    }
    with on_a_port(system.socket) as port:
        target = Target(public_url=f"http://{NAME}:{port}", addresses={NAME: "127.0.0.1"})
        checks = release.load_pack(APP, pack).checks
        return smoke.apply(target, checks, environment, lambda _: None)


@pytest.mark.parametrize(
    ("pack", "version"),
    [
        *(("legacy", version) for version in ("1.0.0", "2.0.0", "2.1.0")),
        *(("tenants", version) for version in ("2.0.0", "2.1.0", "3.0.0")),
        *(("checklist", version) for version in ("2.0.0", "2.1.0", "3.0.0")),
    ],
)
def test_a_contract_is_kept(shop: Shop, cache: str, pack: str, version: str) -> None:
    bring(shop, *SCHEMA[version])

    with serving(version, shop, cache) as system:
        outcome = asked(system, pack)
        again = asked(system, pack)

    assert outcome.red == ()
    assert again.red == ()


@pytest.mark.parametrize(
    ("pack", "version", "red"),
    [
        (
            "legacy",
            "3.0.0",
            {"legacy-agents", "legacy-campaigns", "legacy-uncounted", "legacy-errors"},
        ),
        ("tenants", "1.0.0", {"tenants-envelope", "tenants-administrator", "tenants-registration"}),
        ("checklist", "1.0.0", {"checklist-account", "checklist-authentication"}),
    ],
)
def test_a_contract_has_its_end(
    shop: Shop, cache: str, pack: str, version: str, red: set[str]
) -> None:
    bring(shop, *SCHEMA[version])

    with serving(version, shop, cache) as system:
        found = {result.id for result in asked(system, pack).red}

    assert red <= found


def test_smoke_checks_leave_nothing_but_closed_accounts(shop: Shop, cache: str) -> None:
    bring(shop, *SCHEMA["2.0.0"])

    with serving("2.0.0", shop, cache) as system:
        for pack in ("legacy", "tenants", "checklist"):
            assert asked(system, pack).ok
        shared = system.rows("SELECT count(*) FROM agents WHERE shared OR owner_id = 'admin'")
        campaigns = system.rows("SELECT count(*) FROM campaigns WHERE shared")
        accounts = system.rows(
            "SELECT split_part(email, '-', 1), is_active FROM users WHERE email LIKE '%.invalid' "
            "ORDER BY email"
        )

    assert (shared, campaigns) == ([(0,)], [(0,)])
    assert accounts == [("checklist", False), ("tenant", False)]


def test_releases_name_the_contracts_that_they_keep() -> None:
    releases = release.load_releases(ROOT, "voxflow")

    assert {version: each.smoke_packs for version, each in releases.items()} == {
        "1.0.0": (),
        "2.0.0": ("legacy", "tenants"),
        "2.1.0": ("legacy", "tenants"),
        "3.0.0": ("tenants",),
    }
