from __future__ import annotations

from pathlib import Path

import pytest

from changeover.migrations import hazards, losses, statements
from changeover.migrations.records import Migration

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
        ("SELECT purge_accounts()", "a call of purge_accounts, whose doing is not known"),
        ("SELECT shop.count(1)", "a call of shop.count, whose doing is not known"),
        ("SELECT setval('users_id_seq', 1)", "a call of setval, whose doing is not known"),
        ("INSERT INTO k SELECT lower(name), nextval('s') FROM old GROUP BY 1", ""),
        (
            "ALTER TABLE users ADD COLUMN IF NOT EXISTS token text; UPDATE users SET token = name",
            "UPDATE of users.token",
        ),
        ("ALTER TABLE log DETACH PARTITION log_1", "DETACH PARTITION"),
        ("ALTER TABLE users SET UNLOGGED", "ALTER TABLE SetUnLogged"),
        ("DROP EXTENSION citext", "DROP EXTENSION"),
        ("DROP SEQUENCE users_id_seq", "DROP SEQUENCE"),
        ("ALTER SEQUENCE users_id_seq RESTART", "ALTER SEQUENCE RESTART"),
        ("ALTER TABLE users ALTER COLUMN id DROP IDENTITY", "DROP IDENTITY"),
        (
            "ALTER TABLE audit.users ADD COLUMN token text; UPDATE public.users SET token = name",
            "UPDATE of users.token",
        ),
        ("CREATE RULE r AS ON INSERT TO users DO INSTEAD NOTHING", "CREATE RULE"),
        ("DROP TABLE log; CREATE TABLE log (id int)", "DROP TABLE"),
        ("CREATE TABLE copy AS SELECT 1 AS id; DELETE FROM copy; DROP TABLE copy", ""),
        ("UPDATE users SET token = name WHERE token IS NULL", "UPDATE of users.token"),
    ],
)
def test_a_revert_that_may_take_what_was_written_since_is_told(revert: str, taken: str) -> None:
    assert losses.of(statements.read(revert, Path("001_a.revert.sql"))) == taken


def release(tmp_path: Path, *texts: str) -> list[Migration]:
    return [
        Migration(
            release="1.0.0",
            phase="expand",
            number=number,
            name="a",
            path=tmp_path / f"{number:03d}_a.sql",
            checksum="",
            statements=tuple(statements.read(text, tmp_path / "a.sql")),
        )
        for number, text in enumerate(texts, start=1)
    ]


@pytest.mark.parametrize(
    ("texts", "taken"),
    [
        (["ALTER TABLE users ADD COLUMN a int", "UPDATE users SET a = 1"], ""),
        (["CREATE TABLE log (id int)", "DELETE FROM public.log; TRUNCATE log; DROP TABLE log"], ""),
        (["UPDATE users SET age = 1"], "UPDATE of users.age"),
        (["UPDATE users u SET age = 1 WHERE u.age IS NULL AND id BETWEEN 1 AND 9"], ""),
        (["UPDATE users SET age = 1 WHERE age IS NULL OR id = 1"], "UPDATE of users.age"),
        (["UPDATE users SET age = 1 WHERE age IS NOT NULL"], "UPDATE of users.age"),
        (
            ["UPDATE users SET age = o.age FROM old o WHERE o.age IS NULL"],
            "UPDATE of users.age",
        ),
        (["DELETE FROM users WHERE age > 9"], "DELETE"),
        (["ALTER TABLE users ALTER COLUMN age TYPE smallint"], "ALTER COLUMN TYPE"),
    ],
)
def test_what_a_release_takes_or_overwrites_on_its_way_forward_is_told(
    texts: list[str], taken: str, tmp_path: Path
) -> None:
    assert "".join(losses.forward(release(tmp_path, *texts)).values()) == taken


@pytest.mark.parametrize(
    ("text", "breaks"),
    [
        ("ALTER TABLE users ADD COLUMN a int", False),
        ("ALTER TABLE users ALTER COLUMN age SET NOT NULL", True),
        ("ALTER TABLE users ADD COLUMN a int, ALTER COLUMN a SET NOT NULL", True),
        ("ALTER TABLE users ADD COLUMN a int DEFAULT 1, ALTER COLUMN a SET NOT NULL", False),
        ("ALTER TABLE users ALTER COLUMN age TYPE bigint", True),
        ("ALTER TABLE users ADD CHECK (age > 0) NOT VALID", True),
        ("ALTER TABLE users ADD COLUMN a int; ALTER TABLE users ADD CHECK (a > 0)", False),
        ("ALTER TABLE users ADD COLUMN a int; ALTER TABLE users ADD CHECK (a > age)", True),
        ("ALTER TABLE users ADD UNIQUE (email)", True),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON users (email)", True),
        ("CREATE INDEX CONCURRENTLY i ON users (email)", False),
        ("ALTER TABLE users ADD COLUMN a int; CREATE UNIQUE INDEX i ON users (email, a)", False),
        (
            "ALTER TABLE users ADD COLUMN a int DEFAULT 1; ALTER TABLE users ADD UNIQUE (email, a)",
            True,
        ),
        ("ALTER TABLE users ADD FOREIGN KEY (team) REFERENCES teams", True),
        (
            "ALTER TABLE users ADD COLUMN a int; ALTER TABLE users ADD FOREIGN KEY (a) REFERENCES b",
            False,
        ),
        ("CREATE TABLE log (id int); ALTER TABLE log ALTER COLUMN id SET NOT NULL", False),
    ],
)
def test_what_forbids_the_old_version_to_write_as_it_did_breaks_it(
    text: str, breaks: bool, tmp_path: Path
) -> None:
    assert bool(hazards.breaking(release(tmp_path, text))) == breaks
