"""Slots of logical replication stay with the database that a restore leaves, and are told."""

from __future__ import annotations

import pytest
from tests.postgres.backup.conftest import fresh_site
from tests.postgres.own_server import fresh_shop, running_server

pytestmark = pytest.mark.postgres


def test_slots_of_logical_replication_are_told_to_stay_with_the_kept_database() -> None:
    with (
        running_server(settings={"wal_level": "logical"}) as server,
        fresh_shop(server) as shop,
        fresh_site(shop) as site,
    ):
        shop.rows("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')")
        site.create()
        site.act("backup_verify", backup="one")

        price = site.act("backup_price", backup="one")
        done = site.act("backup_restore", backup="one")

        assert (price["slots"], done["slots"]) == (["cdc"], ["cdc"])
        slots = "SELECT database FROM pg_replication_slots"
        assert server.run(slots) == [(done["kept"],)]
        (kept,) = site.act("backup_list")["databases"]
        assert kept["slots"] == ["cdc"]
        server.run("SELECT pg_drop_replication_slot('cdc')", done["kept"])
