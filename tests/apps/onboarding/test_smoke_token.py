"""Smoke checks ask with a token of their own: as one user, and as an administrator who only looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .desk import MIGRATE, STEPS, alone, token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Server

    from .desk import Desk

pytestmark = pytest.mark.postgres
SMOKE = "a token of smoke checks, 32 letters"
DRY = {"stepId": "smoke-check", "fromVersion": 1, "toVersion": 2, "dryRun": True}


@pytest.fixture
def smoked(postgres_server: Server) -> Iterator[Desk]:
    with alone(postgres_server, more={"SMOKE_TOKEN": SMOKE}) as made:
        yield made


def test_it_makes_progress_on_a_step_that_nobody_else_sees(smoked: Desk) -> None:
    smoked.step("payments")
    made = smoked.ask("PUT", f"{STEPS}/smoke-check", {"status": "done"}, bearer=SMOKE)

    assert (made.status, made.body["status"]) == (200, "done")
    seen = smoked.ask("GET", STEPS, bearer=SMOKE).body["steps"]
    assert [(each["stepId"], each["status"]) for each in seen] == [
        ("payments", "todo"),
        ("smoke-check", "done"),
    ]
    others = smoked.ask("GET", STEPS, bearer=token("u1", "creator")).body["steps"]
    assert [each["stepId"] for each in others] == ["payments"]


def test_as_an_administrator_it_only_looks(smoked: Desk) -> None:
    smoked.ask("PUT", f"{STEPS}/smoke-check", {"status": "done"}, bearer=SMOKE)
    before = smoked.rows()

    assert smoked.ask("GET", f"{MIGRATE}?stepId=smoke-check", bearer=SMOKE).status == 200
    assert smoked.ask("POST", MIGRATE, DRY, bearer=SMOKE).status == 200
    for asked in ({**DRY, "dryRun": False}, [DRY, {**DRY, "dryRun": False}]):
        refused = smoked.ask("POST", MIGRATE, asked, bearer=SMOKE)
        assert (refused.status, refused.body["error"]) == (403, "Forbidden")
    assert smoked.ask("DELETE", f"{MIGRATE}?stepId=smoke-check", bearer=SMOKE).status == 403

    assert smoked.rows() == before


def test_nobody_else_is_a_smoke_check(smoked: Desk, desk: Desk) -> None:
    for bearer in (SMOKE[:-1], SMOKE + "x", SMOKE[:-1] + "é", token("smoke-check", "creator")):
        assert smoked.ask("GET", STEPS, bearer=bearer).status == 401
    assert smoked.ask("GET", STEPS, bearer=token("ann", "smoke-check")).status == 401
    # An app that was given none knows none.
    assert desk.ask("GET", STEPS, bearer=SMOKE).status == 401
    assert desk.ask("GET", STEPS, bearer=" ").status == 401
