from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.agent.backup import swap
from changeover.agent.backup.store import Store
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

ID = "20260115T101500-3fa2c1"
pytestmark = pytest.mark.postgres


def beside(site: Site) -> list[str]:
    return [
        one["name"].removeprefix(site.shop.name) for one in site.act("backup_list")["databases"]
    ]


def backups(site: Site) -> list[str]:
    return [one["backup"] for one in site.act("backup_list")["backups"]]


def test_an_unproved_backup_goes_with_what_was_made_of_it_and_with_its_half(site: Site) -> None:
    site.create(ID)
    site.act("backup_rehearsal", backup=ID)
    half = site.backups / "two.partial"
    half.mkdir()
    assert sorted(beside(site)) == [f"_rehearsal_{ID}", f"_verify_{ID}"]

    gone = site.act("backup_withdraw", backup=ID)
    assert (sorted(gone["dropped"]), gone["removed"]) == (
        [f"{site.shop.name}_rehearsal_{ID}", f"{site.shop.name}_verify_{ID}"],
        True,
    )
    assert site.act("backup_withdraw", backup="two")["removed"]

    assert (beside(site), backups(site), half.exists()) == ([], [], False)
    assert site.act("backup_withdraw", backup=ID)["skipped"]


def test_what_a_proof_compared_definitions_in_goes_where_it_was_cut_off(site: Site) -> None:
    site.create(ID)
    scratch = f"_definition_{ID}"
    site.shop.server.run(f'CREATE DATABASE "{site.shop.name}{scratch}"')
    assert beside(site) == [scratch]

    assert site.act("backup_withdraw", backup=ID)["dropped"] == [f"{site.shop.name}{scratch}"]

    assert beside(site) == []


def test_a_proved_backup_stays_and_its_database_goes(site: Site) -> None:
    site.create()
    site.act("backup_verify", backup="one", keep=True)

    gone = site.act("backup_withdraw", backup="one")

    assert (gone["dropped"], gone["removed"]) == ([f"{site.shop.name}_verify_one"], False)
    assert (beside(site), backups(site)) == ([], ["one"])


def test_nothing_goes_while_a_restore_is_unfinished_that_may_need_it(site: Site) -> None:
    site.create()
    site.act("backup_verify", backup="one", keep=True)
    store = Store(
        root=site.backups, app="shop", database=site.shop.name, server=Server(socket="", port=0)
    )
    facts = {"backup": "one", "at": "2026-01-01T00:00:00Z", "deployment": "d"}
    number = site.shop.value("SELECT oid::int FROM pg_database WHERE datname = current_database()")
    swap.begin(store, facts | {"live": site.shop.name, "live_oid": 0, "side_oid": number})

    assert site.act("backup_withdraw", backup="one")["skipped"]

    assert beside(site) == ["_verify_one"]
