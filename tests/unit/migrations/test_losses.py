from __future__ import annotations

from pathlib import Path

import pytest

from changeover.migrations import losses, statements

ADDED = "ALTER TABLE shop.users ADD COLUMN token text; UPDATE shop.users SET token = name"


@pytest.mark.parametrize(
    ("revert", "taken"),
    [
        ("ALTER TABLE users ADD COLUMN token text UNIQUE", ""),
        ("CREATE TABLE log (id int); CREATE INDEX CONCURRENTLY i ON log (id)", ""),
        ("ALTER TABLE users DROP CONSTRAINT positive; DROP INDEX i; DROP VIEW old", ""),
        ("INSERT INTO kinds VALUES (1) ON CONFLICT DO NOTHING", ""),
        (ADDED, ""),
        (f"{ADDED}, name = token", "UPDATE of users.name"),
        ("ALTER TABLE users ADD COLUMN a int, DROP COLUMN token", "DROP COLUMN"),
        ("ALTER TABLE users ALTER COLUMN age TYPE smallint", "ALTER COLUMN TYPE"),
        ("DROP TABLE log", "DROP TABLE"),
        ("DROP TYPE mood CASCADE", "DROP TYPE CASCADE"),
        ("TRUNCATE log", "TRUNCATE"),
        (
            "WITH old AS (DELETE FROM log RETURNING id) INSERT INTO kept SELECT id FROM old",
            "DELETE",
        ),
        (
            "INSERT INTO k VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1",
            "INSERT ON CONFLICT DO UPDATE",
        ),
        ("DO $$ BEGIN DELETE FROM log; END $$", "DO, whose text does not tell what it does"),
    ],
)
def test_a_revert_that_may_take_what_was_written_since_is_told(revert: str, taken: str) -> None:
    assert losses.of(statements.read(revert, Path("001_a.revert.sql"))) == taken
