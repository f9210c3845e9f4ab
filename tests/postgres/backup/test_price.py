"""What is said before a swap and what is counted after it are the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres


def priced(site: Site, backup: str = "one") -> tuple[Any, Any]:
    price = site.act("backup_price", backup=backup)
    return price["left_at_most"], price["back_at_most"]


def test_a_row_counts_once_however_often_it_was_written(site: Site) -> None:
    site.create()
    site.shop.rows("INSERT INTO audit VALUES ('since')")
    for _ in range(5):
        site.shop.rows("UPDATE users SET score = score + 1 WHERE id <= 4")
    site.shop.rows(
        "INSERT INTO orders (user_id) VALUES (1); DELETE FROM orders WHERE total IS NULL"
    )
    site.shop.rows("SELECT lo_put(oid, 0, 'A'), lo_from_bytea(0, 'x') FROM pg_largeobject_metadata")
    site.shop.rows("VACUUM FREEZE users")

    price = site.act("backup_price", backup="one")

    found = {name: each["left_at_most"] for name, each in price["tables"].items()}
    assert found == {"public.audit": 1, "public.users": 4, "large objects": 2}
    done = site.act("backup_restore", backup="one")
    assert done["rows_lost"] == price["left_at_most"] == 7
    assert {name: each["lost"] for name, each in done["lost"].items()} == found


def test_rows_of_a_transaction_that_was_open_at_the_snapshot_count_in_savepoints_too(
    site: Site,
) -> None:
    with psycopg.connect(**site.shop.admin.parameters()) as connection:
        connection.execute("INSERT INTO audit VALUES ('before')")
        connection.execute("SAVEPOINT within; INSERT INTO audit VALUES ('within')")
        site.shop.rows("INSERT INTO orders (user_id) VALUES (1)")
        site.create()
        connection.execute("INSERT INTO audit VALUES ('after')")
        connection.commit()

    assert priced(site) == (3, 0)
    assert site.act("backup_restore", backup="one")["rows_lost"] == 3


def test_after_a_restore_only_what_was_written_since_it_counts(site: Site) -> None:
    site.create()
    with psycopg.connect(**site.shop.server.admin().parameters()) as writing:
        writing.execute("SELECT txid_current()")  # an older transaction, still open
        site.act("backup_restore", backup="one")
    site.shop.rows("INSERT INTO audit VALUES ('since'), ('since'); DELETE FROM orders WHERE id < 4")

    price = site.act("backup_price", backup="one")

    assert (price["left_at_most"], price["back_at_most"]) == (2, 3)
    assert price["tables"]["public.audit"]["inserted"] is None, "counts of another database"
    assert site.act("backup_restore", backup="one")["rows_lost"] == 2


def test_what_cannot_be_told_before_is_said_to_be_unknown(site: Site) -> None:
    site.create("one")
    site.shop.rows("INSERT INTO audit VALUES ('between')")
    site.create("two")
    site.act("backup_restore", backup="one")

    price = site.act("backup_price", backup="two")

    assert (price["left_at_most"], price["back_at_most"]) == (None, None)
    assert price["rows_written"] == 1
    assert priced(site, "one") == (0, 0)


def test_values_in_columns_that_the_backup_does_not_have_are_told(site: Site) -> None:
    site.create()
    site.shop.rows(
        """ALTER TABLE users ADD COLUMN phone text, ADD COLUMN tier text DEFAULT 'none',
            ADD COLUMN "a b" numeric(9, 2) NOT NULL DEFAULT 0,
            ADD COLUMN short text GENERATED ALWAYS AS (left(email, 3)) STORED;
        ALTER TABLE users ADD COLUMN seen timestamptz DEFAULT now();
        UPDATE users SET phone = '0800' WHERE id <= 500;
        UPDATE users SET "a b" = 7.5, tier = 'gold' WHERE id <= 3"""
    )
    wanted = {"phone": 500, "tier": 3, "a b": 3}

    price = site.act("backup_price", backup="one")
    done = site.act("backup_restore", backup="one")

    assert price["tables"]["public.users"]["filled"] == wanted
    assert price["left_at_most"] >= 500
    assert done["lost"] == {
        "public.users": {"rows_before": 2000, "rows_after": 2000, "lost": 0, "filled": wanted}
    }
    compared = site.act("backup_diff")
    assert set(compared["tables"]) == {"public.users"}
    assert compared["tables"]["public.users"]["uncompared"] == [
        "a b",
        "phone",
        "seen",
        "short",
        "tier",
    ]
