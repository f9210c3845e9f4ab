"""What the documents of VoxFlow allow and forbid is asked of it, by everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.apps.fuzz import fuzz

from .system import ADMIN, SMOKE, bring, serving

if TYPE_CHECKING:
    from tests.postgres.own_server import Shop

    from .system import System

SCHEMAS = {"1.0.0": ["1.0.0"], "2.1.0": ["1.0.0", "2.0.0"], "3.0.0": ["1.0.0", "2.0.0", "3.0.0"]}
UNLIMITED = {f"RATE_LIMIT_{tier}": "1000000" for tier in ("ANONYMOUS", "FREE", "PRO", "ENTERPRISE")}


def token(system: System, who: str) -> str:
    if who == "tenant":
        return system.register("tenant@example.test", "enterprise")
    return {"legacy": lambda: system.sign_in(SMOKE), "admin": lambda: system.sign_in(ADMIN)}.get(
        who, str
    )()


@pytest.mark.parametrize(
    ("version", "who"),
    [
        ("1.0.0", "legacy"),
        ("2.1.0", "nobody"),
        ("2.1.0", "legacy"),
        ("2.1.0", "tenant"),
        ("2.1.0", "admin"),
        ("3.0.0", "admin"),
    ],
)
def test_no_request_is_a_failure_of_ours(shop: Shop, cache: str, version: str, who: str) -> None:
    bring(shop, *SCHEMAS[version])

    with serving(version, shop, cache, **UNLIMITED) as system:
        found = fuzz(system.socket, bearer=token(system, who))
        log = system.log.read_text()

    assert found == "", found
    assert "Traceback" not in log
