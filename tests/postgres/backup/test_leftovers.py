from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import pytest

from changeover.agent.backup import create, swap
from changeover.agent.backup.store import Store
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

GONE = "20260115T101500-3fa2c1"


def make(site: Site, *names: str) -> list[str]:
    databases = [f"{site.shop.name}_{name}" for name in names]
    for database in databases:
        site.shop.server.run(f"CREATE DATABASE {database}")
    return databases


def kinds(site: Site) -> dict[str, str]:
    found = site.act("backup_list")["databases"]
    assert all(one["bytes"] > 1_000_000 for one in found)
    return {one["name"].removeprefix(site.shop.name): one["kind"] for one in found}


def test_what_a_restore_kept_and_what_a_proof_left_is_listed_by_its_kind(site: Site) -> None:
    site.create()
    kept = site.act("backup_restore", backup="one")["kept"]
    site.act("backup_verify", backup="one", keep=True)
    for purpose in ("verify", "definition", "rehearsal"):
        site.shop.server.run(f'CREATE DATABASE "{site.shop.name}_{purpose}_{GONE}"')
    make(site, "archive", "failed_by_hand", "rehearsal_by_hand", "diff_definition")

    assert kinds(site) == {
        kept.removeprefix(site.shop.name): "failed",
        "_verify_one": "warm",
        f"_verify_{GONE}": "leftover",
        f"_definition_{GONE}": "leftover",
        f"_rehearsal_{GONE}": "scratch",
        "_diff_definition": "scratch",
    }
    due = {
        one["name"].removeprefix(site.shop.name)
        for one in site.act("backup_due", keep=1)["databases"]
    }
    assert due == {
        f"_verify_{GONE}",
        f"_definition_{GONE}",
        f"_rehearsal_{GONE}",
        "_diff_definition",
    }


def test_pruning_keeps_those_that_failed_last_names_what_goes_and_touches_nothing_else(
    site: Site,
) -> None:
    site.create()
    side = site.act("backup_verify", backup="one", keep=True)["kept"]
    # the order is that of failing: one that was kept warm for long was made before the others
    third, first, second = make(
        site, "failed_20260303000000", "failed_20260101000000", "failed_20260202000000"
    )
    others = make(site, "archive", "failed_by_hand", "failed_2026")
    due = site.act("backup_due", keep=2)
    agreed = [one["name"] for one in due["databases"]]

    assert agreed == [first]
    assert site.act("backup_retain", keep=2, agreed=agreed)["databases"] == [first]
    assert site.databases() == {site.shop.name, side, second, third, *others}
    due = site.act("backup_due", keep=2)
    assert (due["backups"], due["databases"]) == ([], [])


def test_what_would_go_is_told_with_the_rows_that_the_live_database_does_not_have(
    site: Site,
) -> None:
    site.create()
    site.act("backup_verify", backup="one")
    site.shop.rows("INSERT INTO audit SELECT 'late ' || n FROM generate_series(1, 3) n")
    kept = site.act("backup_restore", backup="one")["kept"]
    make(site, "failed_29990101000000")

    (due,) = site.act("backup_due", keep=1)["databases"]

    assert (due["name"], due["kind"], due["rows_lost"]) == (kept, "failed", 3)
    assert {table: facts["lost"] for table, facts in due["lost"].items()} == {"public.audit": 3}
    assert kept in site.databases()


def test_no_backup_goes_in_favour_of_one_that_was_recovered_from_an_older_moment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered = {"at": "2026-01-01T00:00:00Z", "first_transaction": 3, "words": "then"}
    site.create("today")
    with monkeypatch.context() as then:
        wish = functools.partial(create.Wish, recovered=recovered)
        then.setattr(create, "Wish", wish)
        site.create("then")
    for backup in ("today", "then"):
        site.act("backup_verify", backup=backup)

    assert site.act("backup_due", keep=1)["backups"] == []


def test_nothing_goes_that_nobody_agreed_to(site: Site) -> None:
    for backup in ("one", "two"):
        site.create(backup)
        site.act("backup_verify", backup=backup)
    failed = make(site, "failed_20260101000000", "failed_20260202000000")

    assert site.act("backup_due", keep=1)["backups"] == ["one"]
    went = site.act("backup_retain", keep=1, agreed=[])

    assert (went["dropped"], went["databases"]) == ([], [])
    assert set(failed) < site.databases()


@pytest.mark.parametrize("names", [("one", "two"), ("two", "one")])
def test_backups_of_one_second_are_listed_newest_first(
    site: Site, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]
) -> None:
    moments = iter((1_800_000_000_100_000_000, 1_800_000_000_200_000_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    for name in names:
        site.create(name)

    listed = [one["backup"] for one in site.act("backup_list")["backups"]]

    assert listed == list(reversed(names))


def test_what_was_kept_warm_from_a_backup_that_goes_is_named_with_it(site: Site) -> None:
    for backup in (GONE, "two"):
        site.create(backup)
        site.act("backup_verify", backup=backup, keep=backup == GONE)
    due = site.act("backup_due", keep=1)
    warm = f"{site.shop.name}_verify_{GONE}"
    names = [*due["backups"], *(each["name"] for each in due["databases"])]

    assert names == [GONE, warm]
    went = site.act("backup_retain", keep=1, agreed=names)
    assert (went["dropped"], went["kept"], went["databases"]) == ([GONE], ["two"], [warm])
    assert site.databases() == {site.shop.name}


def test_nothing_beside_goes_while_a_restore_is_unfinished(site: Site) -> None:
    site.create()
    failed = make(site, "failed_20260101000000", "failed_20260202000000")
    store = Store(
        root=site.backups, app="shop", database=site.shop.name, server=Server(socket="", port=0)
    )
    number = site.shop.value("SELECT oid::int FROM pg_database WHERE datname = current_database()")
    facts = {"backup": "one", "at": "2026-01-01T00:00:00Z", "deployment": "d"}
    numbers = {"live": site.shop.name, "live_oid": 0, "side_oid": number}
    swap.begin(store, facts | numbers)

    due = site.act("backup_due", keep=1)
    assert (due["databases"], due["unfinished"]) == ([], facts | {"live": True})
    assert site.act("backup_retain", keep=1, agreed=failed)["databases"] == []
    assert set(failed) < site.databases()


def test_backups_are_listed_where_no_server_answers(site: Site) -> None:
    site.create()
    site.rewrite_host(port=1)

    listed = site.act("backup_list")

    assert [one["backup"] for one in listed["backups"]] == ["one"]
    assert listed["databases"] is None
