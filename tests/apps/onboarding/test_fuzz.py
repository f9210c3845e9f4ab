"""What the document of the app allows and forbids is asked of it, by everybody."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.apps.fuzz import fuzz
from tests.postgres.own_server import fresh_shop

from .desk import bring, serving, token

if TYPE_CHECKING:
    from tests.postgres.own_server import Server

pytestmark = pytest.mark.postgres
SMOKE = "a token of smoke checks, 32 letters"
CALLERS = {"nobody": "", "user": token("u1", "creator"), "admin": token(), "smoke": SMOKE}


@pytest.mark.parametrize(
    ("program", "who"),
    [
        ("onboarding", "user"),
        ("administration", "nobody"),
        ("administration", "user"),
        ("administration", "admin"),
        ("administration", "smoke"),
    ],
)
def test_no_request_is_a_failure_of_ours(postgres_server: Server, program: str, who: str) -> None:
    with (
        fresh_shop(postgres_server) as shop,
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
    ):
        bring(shop)
        with serving(shop, Path(folder), program=program, more={"SMOKE_TOKEN": SMOKE}) as desk:
            desk.step()
            desk.users("done", 1, 3)
            found = fuzz(desk.sockets / "http.sock", bearer=CALLERS[who])
            log = desk.log.read_text()

    assert found == "", found
    assert "Traceback" not in log
