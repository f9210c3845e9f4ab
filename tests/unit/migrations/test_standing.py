"""What stands after migrations, followed statement by statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.migrations.folder import load
from changeover.migrations.standing_statements import standing

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.migrations.standing import Made

USERS = "CREATE TABLE users (id int, name text);"


def after(tmp_path: Path, *files: str) -> tuple[Made, ...]:
    folder = tmp_path / "1.0.0" / "expand"
    folder.mkdir(parents=True)
    for number, text in enumerate(files, start=1):
        (folder / f"{number:03d}_step.sql").write_text(text)
    return standing(load(folder.parent, "1.0.0").migrations)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (USERS, ["table users", "column id of users", "column name of users"]),
        ("CREATE TEMP TABLE users (id int)", []),
        (f"{USERS} DROP TABLE public.users", []),
        (
            f"{USERS} ALTER TABLE users RENAME name TO label; ALTER TABLE users RENAME TO people",
            ["table people", "column id of people", "column label of people"],
        ),
        (
            (
                "CREATE TABLE shop.users (id int); CREATE INDEX by_id ON shop.users (id);"
                " ALTER TABLE shop.users SET SCHEMA old"
            ),
            ["table old.users", "column id of old.users", "index old.by_id"],
        ),
        (
            (
                "CREATE TABLE users (id int CONSTRAINT positive CHECK (id > 0), CONSTRAINT one UNIQUE (id));"
                " ALTER TABLE users DROP CONSTRAINT positive, ADD CONSTRAINT two CHECK (id < 9);"
                " ALTER TABLE users RENAME CONSTRAINT two TO small"
            ),
            [
                *("table users", "column id of users"),
                *("constraint one of users", "constraint small of users"),
            ],
        ),
        (
            (
                f"{USERS} CREATE UNIQUE INDEX by_id ON users (id);"
                " ALTER TABLE users ADD CONSTRAINT users_key PRIMARY KEY USING INDEX by_id"
            ),
            [
                *("table users", "column id of users", "column name of users"),
                *("index users_key", "constraint users_key of users"),
            ],
        ),
        (
            (
                "CREATE TYPE mood AS ENUM ('ok'); ALTER TYPE mood ADD VALUE 'sad';"
                " ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'; ALTER TYPE mood RENAME TO state"
            ),
            ["type state", "enum value blue of state"],
        ),
        (
            (
                "CREATE FUNCTION users() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE users (id int);"
                " DROP FUNCTION users()"
            ),
            ["table users", "column id of users"],
        ),
        (
            (
                "CREATE SCHEMA shop; CREATE EXTENSION citext; CREATE SEQUENCE shop.next; CREATE DOMAIN age AS int;"
                " CREATE VIEW shop.seen AS SELECT 1; SELECT 1 INTO copied; DROP SEQUENCE shop.next"
            ),
            ["schema shop", "extension citext", "type age", "table shop.seen", "table copied"],
        ),
        (
            (
                f"{USERS} CREATE POLICY own ON users; CREATE TRIGGER seen BEFORE INSERT ON users"
                " EXECUTE FUNCTION f(); DROP POLICY own ON users; ALTER TRIGGER seen ON users RENAME TO met"
            ),
            [
                *("table users", "column id of users", "column name of users"),
                "trigger met of users",
            ],
        ),
        (
            "CREATE TABLE IF NOT EXISTS users (id int); DROP INDEX users",
            ["table users", "column id of users"],
        ),
    ],
)
def test_what_is_made_renamed_and_taken_away(text: str, left: list[str], tmp_path: Path) -> None:
    found = after(tmp_path, text)

    assert [made.sentence for made in found] == left
    assert {made.certain for made in found} <= {True}


@pytest.mark.parametrize(
    ("later", "doubted"),
    [
        ("DO $$ BEGIN EXECUTE 'x'; END $$", {"table users", "column id of users", "index by_name"}),
        ("DROP TYPE mood CASCADE", {"table users", "column id of users", "index by_name"}),
        ("ALTER TABLE users DROP COLUMN name", {"index by_name"}),
        ("DROP TABLE other", set()),
    ],
)
def test_what_a_later_statement_may_have_taken_away_is_not_certain(
    later: str, doubted: set[str], tmp_path: Path
) -> None:
    first = "CREATE TABLE users (id int); CREATE INDEX by_name ON users (id)"

    found = after(tmp_path, first, later, "CREATE TABLE new (id int)")

    assert {made.sentence for made in found if not made.certain} == doubted
    assert "table new" in {made.sentence for made in found if made.certain}


def test_names_under_another_search_path_are_not_certain_in_that_file(tmp_path: Path) -> None:
    found = after(
        tmp_path,
        "SET search_path = shop; CREATE TABLE inside (); CREATE TABLE shop.named ()",
        "CREATE TABLE outside ()",
    )

    assert {made.name.name: made.certain for made in found} == {
        "inside": False,
        "named": True,
        "outside": True,
    }


def test_each_is_told_with_the_migration_that_made_or_named_it(tmp_path: Path) -> None:
    found = after(tmp_path, USERS, "ALTER TABLE users RENAME name TO label")

    assert {made.part: made.migration for made in found} == {
        "": "1.0.0/expand/001_step",
        "id": "1.0.0/expand/001_step",
        "label": "1.0.0/expand/002_step",
    }
