"""A live database whose name leaves no room for what is beside it is found again all the same."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.conftest import fresh_site
from tests.postgres.own_server import fresh_shop

from changeover.agent.backup import leftovers
from changeover.agent.backup.store import Store
from changeover.agent.postgres.tools import Server as Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.backup.conftest import Site
    from tests.postgres.own_server import Server

pytestmark = pytest.mark.postgres

MADE = "20260115T101500-3fa2c1"


@pytest.fixture
def long_site(postgres_server: Server) -> Iterator[Site]:
    """Give a host whose database has the longest name that there is, in letters of two bytes."""
    with fresh_shop(postgres_server) as shop:
        name = f"{shop.name}_{'é' * 24}e"
        postgres_server.run(f'ALTER DATABASE {shop.name} RENAME TO "{name}"')
        try:
            with fresh_site(dataclasses.replace(shop, name=name)) as site:
                yield site
        finally:
            for (each,) in postgres_server.run("SELECT datname FROM pg_database"):
                if each.startswith(shop.name):
                    postgres_server.run(f'DROP DATABASE "{each}" WITH (FORCE)')


def test_what_is_beside_a_database_of_the_longest_name_is_told_by_names_alone(
    long_site: Site,
) -> None:
    server = long_site.shop.server
    reach = Reach(socket=str(server.directory), port=server.port)
    store = Store(root=long_site.backups, app="shop", database=long_site.shop.name, server=reach)
    twin = dataclasses.replace(store, database=long_site.shop.name[:-1] + "x")
    assert len(store.database.encode()) == 63
    long_site.create(MADE)
    kept = long_site.act("backup_restore", backup=MADE)["kept"]
    warm = long_site.act("backup_verify", backup=MADE, keep=True)["kept"]
    server.run(f'CREATE DATABASE "{twin.side("20260101000000", "failed")}"')
    clone = long_site.act("backup_rehearsal", backup=MADE)["database"]

    assert all(len(name.encode()) <= 63 for name in (kept, warm, clone))
    assert [(one["name"], one["kind"]) for one in leftovers.found(store, [MADE])] == [
        (clone, "scratch"),
        (warm, "warm"),
        (kept, "failed"),
    ]
    long_site.shop.rows("SELECT nextval('orders_id_seq')")
    assert long_site.act("backup_diff")["kept"] == kept
    assert long_site.act("backup_rehearsal_end", backup=MADE, keep=True)["dropped"] == [clone]
    shutil.rmtree(long_site.backups / MADE)
    kinds = {one["name"]: one["kind"] for one in long_site.act("backup_list")["databases"]}
    assert kinds == {warm: "leftover", kept: "failed"}
