"""A database beside the live one, compared with it by row and by definition."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from changeover.agent.backup import diff
from changeover.agent.backup.store import Store
from changeover.agent.failure import ActionError
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

AFTERWARDS = """
INSERT INTO users (id, email) VALUES (9001, 'new1'), (9002, E'back\\\\slash\\ttab');
UPDATE users SET status = 'gone' WHERE id IN (3, 4, 5);
DELETE FROM orders WHERE id <= 7;
INSERT INTO audit VALUES ('the same line'), ('the same line'), ('another');
CREATE TABLE notes (id int PRIMARY KEY, said text); INSERT INTO notes VALUES (1, 'x'), (2, 'y');
DROP TABLE "odd Schema"."odd ""Table";
SELECT lo_put(oid, 0, 'A LARGE') FROM pg_largeobject_metadata;
SELECT lo_from_bytea(0, 'another object')"""


def restored(site: Site) -> str:
    """Take a backup, write afterwards, go back; return the name of the database that was kept."""
    site.create()
    site.shop.rows(AFTERWARDS)
    kept = site.act("backup_restore", backup="one")["kept"]
    assert isinstance(kept, str)
    return kept


def copied(site: Site) -> str:
    """Make a database that reads as one that a restore kept, and holds what the live one does."""
    kept = f"{site.shop.name}_failed_20260101000000"
    site.shop.server.run(f"CREATE DATABASE {kept} TEMPLATE {site.shop.name}")
    return kept


def counts(table: Any) -> tuple[int, int, int]:  # noqa: ANN401 - JSON
    return table["only_kept"], table["only_live"], table["changed"]


def test_rows_are_told_apart_by_key_and_without_one_by_content(site: Site) -> None:
    kept = restored(site)

    found = site.act("backup_diff", examples=10)

    assert (found["kept"], found["kind"], found["live"]) == (kept, "failed", site.shop.name)
    tables = found["tables"]
    assert {name: counts(table) for name, table in tables.items()} == {
        "public.users": (2, 0, 3),
        "public.orders": (0, 7, 0),
        "public.audit": (3, 0, 0),
        "public.notes": (2, 0, 0),
        '"odd Schema"."odd ""Table"': (0, 3, 0),
        "large objects": (1, 0, 1),
    }
    users, orders = tables["public.users"], tables["public.orders"]
    assert (users["rows_kept"], users["rows_live"], users["key"]) == (2002, 2000, ["id"])
    assert (tables["public.notes"]["rows_live"], tables["public.audit"]["key"]) == (None, None)
    assert sorted(one["id"] for one in users["examples"]["only_kept"]) == [9001, 9002]
    assert sorted(one["id"] for one in users["examples"]["changed"]) == [3, 4, 5]
    assert sorted(one["id"] for one in orders["examples"]["only_live"]) == [*range(1, 8)]
    assert tables["public.audit"]["examples"] == {}
    assert found["equal"] == 1, "the partition nobody wrote to"


def test_definitions_that_only_read_differently_after_a_restore_are_no_difference(
    site: Site,
) -> None:
    site.create()
    kept = site.act("backup_restore", backup="one")["kept"]

    assert site.act("backup_diff") == {
        "kept": kept,
        "kind": "failed",
        "live": site.shop.name,
        "tables": {},
        "equal": 6,
        "sequences": {},
        "schema": [],
        "schema_lines": 0,
    }

    site.shop.rows(
        "SELECT nextval('orders_id_seq');"
        " ALTER TABLE orders ADD COLUMN note text; UPDATE orders SET total = 0 WHERE id = 5"
    )
    found = site.act("backup_diff", database=kept)

    changed = [line for line in found["schema"] if line.startswith(("-", "+"))]
    assert [line for line in changed if "note text" in line] == ["+    note text"]
    assert {line[1:].strip(" ,") for line in changed} == {"total numeric(10,2)", "note text"}
    assert counts(found["tables"]["public.orders"]) == (0, 0, 1)
    assert found["tables"]["public.orders"]["uncompared"] == ["note"]
    assert found["sequences"] == {"public.orders_id_seq": {"kept": 3000, "live": 3001}}
    assert site.databases() == {site.shop.name, kept}


def test_a_table_whose_key_is_not_the_same_in_both_is_compared_by_content(site: Site) -> None:
    side = copied(site)
    site.shop.server.run("ALTER TABLE orders DROP CONSTRAINT orders_pkey", side)
    site.shop.rows("UPDATE orders SET total = 0 WHERE id = 5")

    found = site.act("backup_diff", database=side, examples=3)

    assert found["kind"] == "failed"
    orders = found["tables"].pop("public.orders")
    assert (orders["key"], counts(orders), orders["examples"]) == (None, (1, 1, 0), {})
    assert found["tables"] == {}


def test_keys_of_any_text_are_paired_and_shown_as_they_are(site: Site) -> None:
    names = ["a", "B", "ä", "a b", "back\\slash", "tab\tand\nline", 'quo"te', "日本", "Z", "_"]
    values = ", ".join(f"('{name}', {place})" for place, name in enumerate(names))
    site.shop.rows(
        f"""CREATE TABLE words (word text COLLATE "en-x-icu", at int, n int, PRIMARY KEY (at, word));
        INSERT INTO words (word, n, at) SELECT word, n, 1 FROM (VALUES {values}) AS w (word, n)"""  # noqa: S608 - the test's own
    )
    side = copied(site)
    site.shop.rows("UPDATE words SET n = n + 1 WHERE word <> 'a'")
    site.shop.rows("DELETE FROM words WHERE word = 'a'")

    words = site.act("backup_diff", database=side, examples=100)["tables"]["public.words"]

    assert counts(words) == (1, 0, 9)
    assert {one["word"] for one in words["examples"]["changed"]} == set(names) - {"a"}
    assert words["examples"]["only_kept"] == [{"at": 1, "word": "a"}]


def test_what_is_not_beside_the_live_database_is_refused_with_the_names_that_are(
    site: Site,
) -> None:
    site.create()
    with pytest.raises(ActionError, match=r"no restore has kept a database.*there is none") as none:
        site.act("backup_diff")
    assert (none.value.error, none.value.detail["names"]) == ("side-unknown", [])
    older, newer = (f"{site.shop.name}_failed_2026010{day}000000" for day in (1, 2))
    other = f"{site.shop.name}_other"
    left = f"{site.shop.name}_verify_20260103T000000-3fa2c1"
    for name in (newer, older, other, left):
        site.shop.server.run(f'CREATE DATABASE "{name}"')

    for wrong in ("postgres", site.shop.name, other):
        with pytest.raises(ActionError, match=f"no database {wrong} is") as unknown:
            site.act("backup_diff", database=wrong)
        assert unknown.value.detail["names"] == [older, newer, left]
    assert site.act("backup_diff")["kept"] == newer
    assert len(site.databases()) == 5


def test_between_two_tables_nothing_is_locked_that_a_migration_would_wait_for(site: Site) -> None:
    copied(site)
    site.shop.rows("DELETE FROM orders WHERE id < 9")
    held: list[int] = []
    locks = f"""SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE a.application_name = 'changeover' AND a.datname = '{site.shop.name}'
        AND (l.locktype = 'relation' OR a.backend_xmin IS NOT NULL)"""  # noqa: S608 - the test's own

    def look(_: str) -> None:
        held.append(site.shop.server.run(locks)[0][0])

    server = site.shop.server
    reach = Server(socket=str(server.directory), port=server.port, say=look)
    store = Store(root=site.backups, app="shop", database=site.shop.name, server=reach)

    found = diff.diff(store, [])

    assert counts(found["tables"]["public.orders"]) == (8, 0, 0)
    assert (len(held), found["equal"]) == (5, 5)
    assert set(held) == {0}


def test_what_is_held_in_memory_does_not_grow_with_the_rows(site: Site) -> None:
    side = copied(site)
    site.shop.rows("INSERT INTO users (email) SELECT 'late' || n FROM generate_series(1, 60000) n")
    tracemalloc.start()
    try:
        found = site.act("backup_diff", database=side, examples=1)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert counts(found["tables"]["public.users"]) == (0, 60000, 0)
    assert len(found["tables"]["public.users"]["examples"]["only_live"]) == 1
    assert held < 4_000_000
