"""A fingerprint sees what changed in a table, and nothing of the order its rows lie in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.agent.failure import ActionError
from changeover.agent.postgres.content import compare, fingerprints
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site
    from tests.postgres.own_server import Shop

pytestmark = pytest.mark.postgres

TABLE = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN share AS numeric CHECK (VALUE >= 0);
CREATE TABLE many (id bigint, a text, b text, n numeric, s share, f double precision, m mood, moods mood[],
    j jsonb, at timestamptz, long interval, tags text[], kind regclass, spare int);
ALTER TABLE many DROP COLUMN spare;
INSERT INTO many VALUES
    (1, '', NULL, 1.0, 0.50, 'NaN', 'good', '{bad}', '{"a": 1.0}', '2026-01-01 00:00+00', '30 days', '{x,y}', 'many'),
    (2, 'b', '', 2, 1, '-0', 'bad', '{good,bad}', '{}', 'infinity', '1 mon', '[2:3]={x,y}', 'pg_class'),
    (2, 'b', '', 2, 1, '-0', 'bad', '{good,bad}', '{}', 'infinity', '1 mon', '[2:3]={x,y}', 'pg_class'),
    (4294967296, 'q', 'r', -3, 0, 0.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""
CHANGES = {
    "an empty string for NULL": "UPDATE many SET b = '' WHERE id = 1",
    "NULL for an empty string": "UPDATE many SET a = NULL WHERE id = 1",
    "a value in the next column": "UPDATE many SET a = b, b = a WHERE id = 4294967296",
    "a value in another row": "UPDATE many SET a = CASE id WHEN 1 THEN 'q' ELSE '' END WHERE id IN (1, 4294967296)",
    "one row of a pair": "DELETE FROM many WHERE ctid = (SELECT min(ctid) FROM many WHERE id = 2)",
    "both rows of a pair": "DELETE FROM many WHERE id = 2",
    "a pair's row for another's": "UPDATE many SET id = 1 WHERE ctid = (SELECT min(ctid) FROM many WHERE id = 2)",
    "the upper half of a number": "UPDATE many SET id = 1 WHERE id = 4294967296",
    "a zero after the point": "UPDATE many SET n = 1.00 WHERE id = 1",
    "the same in a domain": "UPDATE many SET s = 0.5 WHERE id = 1",
    "the same in jsonb": """UPDATE many SET j = '{"a": 1.00}' WHERE id = 1""",
    "a sign": "UPDATE many SET n = 3 WHERE id = 4294967296",
    "a zero's sign": "UPDATE many SET f = 0 WHERE id = 2",
    "a last bit": "UPDATE many SET f = 0.30000000000000004 - 0.2 WHERE id = 4294967296",
    "a month for its days": "UPDATE many SET long = '1 mon' WHERE id = 1",
    "where an array begins": "UPDATE many SET tags = '{x,y}' WHERE id = 2",
    "an enum's value": "UPDATE many SET m = 'bad' WHERE id = 1",
}


def looked(shop: Shop, name: str = "") -> dict[str, object]:
    reach = Server(socket=str(shop.server.directory), port=shop.server.port)
    with Session(reach, name or shop.name) as session:
        found: dict[str, object] = fingerprints(session)["public.many"]
    return found


def test_a_fingerprint_changes_with_any_value_and_with_no_order(shop: Shop) -> None:
    shop.rows(TABLE)
    before = looked(shop)
    unseen = []
    for what, change in CHANGES.items():
        shop.rows(f"CREATE TABLE kept AS TABLE many; {change}")
        if looked(shop) == before:
            unseen.append(what)
        shop.rows("TRUNCATE many; INSERT INTO many TABLE kept; DROP TABLE kept")

    assert unseen == []
    shop.rows(
        "CREATE TABLE kept AS TABLE many; TRUNCATE many; INSERT INTO many SELECT * FROM kept ORDER BY 1 DESC"
    )
    assert looked(shop) == before


def test_types_of_the_databases_own_and_what_is_no_number_are_the_same_after_a_restore(
    site: Site,
) -> None:
    site.shop.rows(TABLE)
    # the processor's own NaN has its sign set, and the one that is read from text has not
    site.shop.rows("UPDATE many SET f = -f WHERE f = 'NaN'")
    site.create()

    site.act("backup_verify", backup="one")


def test_a_backup_of_an_older_agent_is_held_against_the_text_of_its_rows(shop: Shop) -> None:
    shop.rows(TABLE)
    reach = Server(socket=str(shop.server.directory), port=shop.server.port)
    with Session(reach, shop.name) as session:
        manifest = {"tables": fingerprints(session, "text"), "sequences": {}}

        compare(session, manifest)
        shop.rows("UPDATE many SET a = 'other' WHERE id = 1")
        with pytest.raises(ActionError, match="many holds other values"):
            compare(session, manifest)


def test_rows_that_were_hashed_in_an_unknown_way_are_not_said_to_differ(shop: Shop) -> None:
    reach = Server(socket=str(shop.server.directory), port=shop.server.port)
    with Session(reach, shop.name) as session:
        manifest = {"tables": {}, "sequences": {}, "hashed": "otherwise"}
        with pytest.raises(ActionError, match="how the backup's rows were hashed: otherwise"):
            compare(session, manifest)
