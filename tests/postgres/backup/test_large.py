"""What is larger than a value of PostgreSQL's can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.agent.failure import ActionError
from changeover.agent.postgres import content
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres


def test_a_large_object_larger_than_a_value_is_hashed(site: Site) -> None:
    site.shop.rows("SELECT lo_create(4711); SELECT lo_put(4711, 700000000, 'x')")
    reached = Server(socket=str(site.shop.server.directory), port=site.shop.server.port)
    found = []

    for change in ("x", "y", "x"):
        site.shop.rows(f"SELECT lo_put(4711, 700000000, '{change}')")
        with Session(reached, site.shop.name) as session:
            found.append(content.fingerprints(session)["large objects"])

    assert found[0] == found[2] != found[1]
    assert found[0]["rows"] == 2


def test_pages_of_a_large_object_that_were_never_written_are_zeros_after_a_restore(
    site: Site,
) -> None:
    site.shop.rows("SELECT lo_create(1); SELECT lo_put(1, 100000, 'x'); SELECT lo_create(2)")
    pages = "SELECT count(*) FROM pg_largeobject WHERE loid = 1"
    assert site.shop.value(pages) == 1
    site.create()
    side = site.act("backup_verify", backup="one", keep=True)["kept"]
    assert site.shop.server.run(pages, side) == [(49,)]
    site.shop.rows("SELECT lo_put(1, 99999, 'y'); SELECT lo_put(1, 5000, '\\x00')")

    restored = site.act("backup_restore", backup="one")

    assert restored["lost"] == {"large objects": {"rows_before": 3, "rows_after": 3, "lost": 1}}


def test_a_row_that_no_dump_can_hold_is_named(site: Site) -> None:
    site.shop.rows("CREATE TABLE big AS SELECT convert_to(repeat('x', 540000000), 'UTF8') AS whole")

    with pytest.raises(ActionError) as caught:
        site.create()

    assert caught.value.error == "value-too-large"
    assert '"big"' in str(caught.value.cause)
    reached = Server(socket=str(site.shop.server.directory), port=site.shop.server.port)
    with (
        Session(reached, site.shop.name) as session,
        pytest.raises(ActionError, match=r"public\.big holds a row of more than 1 GB"),
    ):
        content.fingerprint(session, "public.big")
