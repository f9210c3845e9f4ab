"""Tables that are not read like others: spread by the hash of an enum, or without a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

SPREAD = """
DO $$BEGIN EXECUTE 'CREATE TYPE colour AS ENUM (''red'', ''blue'', '
    || (SELECT string_agg(quote_literal(n), ',') FROM generate_series(1, 18) AS n) || ')'; END$$;
CREATE TABLE spread (c colour, n int, late int) PARTITION BY HASH (c);
CREATE TABLE spread_0 PARTITION OF spread FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE spread_1 PARTITION OF spread FOR VALUES WITH (MODULUS 3, REMAINDER 1)
    PARTITION BY RANGE (n);
CREATE TABLE spread_1_all PARTITION OF spread_1 DEFAULT;
CREATE TABLE spread_2 (late int, n int, c colour);
ALTER TABLE spread ATTACH PARTITION spread_2 FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO spread SELECT (enum_range(NULL::colour))[1 + n % 20], n FROM generate_series(1, 100) n;
CREATE TABLE plain (n int) PARTITION BY HASH (n);
CREATE TABLE plain_all PARTITION OF plain FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO plain SELECT generate_series(1, 5)"""
LIES = "SELECT DISTINCT tableoid::regclass::text, c::text FROM spread ORDER BY 1, 2"


def test_rows_that_are_spread_by_the_hash_of_an_enum_may_lie_elsewhere(site: Site) -> None:
    site.shop.rows(SPREAD)
    made = site.create()
    assert made["rows"] == 5514 + 100 + 5
    site.act("backup_verify", backup="one")
    before = site.shop.rows(LIES)
    site.act("backup_restore", backup="one")
    assert site.shop.rows(LIES) != before, "this is what moves them"

    site.shop.rows(
        "INSERT INTO spread VALUES ('red', 101), ('blue', 102); DELETE FROM spread WHERE n = 1"
    )
    price = site.act("backup_price", backup="one")["tables"]
    compared = site.act("backup_diff")["tables"]
    restored = site.act("backup_restore", backup="one")

    assert price.keys() == compared.keys() == restored["lost"].keys() == {"public.spread *"}
    assert price["public.spread *"]["left_at_most"] == 2
    assert price["public.spread *"]["back_at_most"] == 1
    assert compared["public.spread *"]["only_live"] == 2
    assert restored["rows_lost"] == 2
    assert site.shop.value("SELECT count(*) FROM spread") == 100


def test_the_servers_counts_of_a_table_that_is_spread_are_those_of_its_partitions(
    site: Site,
) -> None:
    site.shop.rows(SPREAD)
    site.shop.rows("SELECT pg_stat_force_next_flush()")
    site.create()
    site.shop.rows("INSERT INTO spread VALUES ('red', 101), ('blue', 102)")
    site.shop.rows("SELECT pg_stat_force_next_flush()")

    found = site.act("backup_estimate", backup="one")

    assert found["rows_written"] == 2
    assert found["tables"].keys() == {"public.spread *"}


def test_rows_of_a_table_without_columns_are_told_by_their_number(site: Site) -> None:
    site.shop.rows(
        "CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES"
    )
    site.create()
    assert site.act("backup_price", backup="one")["tables"] == {}

    same = site.act("backup_restore", backup="one")
    site.shop.rows("INSERT INTO bare DEFAULT VALUES")
    compared = site.act("backup_diff")
    more = site.act("backup_restore", backup="one")

    assert same["lost"] == {}
    assert compared["tables"]["public.bare"]["only_live"] == 1
    assert more["lost"] == {"public.bare": {"rows_before": 3, "rows_after": 2, "lost": 1}}
