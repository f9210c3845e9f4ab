"""What a revert demands of the rows: our count of those that break it is held to the server's own refusal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from changeover.executors import migrate
from changeover.migrations import statements, tightening

from .own_server import connect

if TYPE_CHECKING:
    from .own_server import Shop

pytestmark = pytest.mark.postgres
TABLES = """
    DROP TABLE IF EXISTS users, people, kinds;
    CREATE TABLE kinds (id int PRIMARY KEY);
    INSERT INTO kinds VALUES (1), (2);
    CREATE TABLE users (id int, email text, kind int, "Nick name" text);
    INSERT INTO users VALUES (1, 'a', 1, 'x'), (2, 'b', 2, 'y')
"""
SINCE = {
    "none": "SELECT 1",
    "no email": "INSERT INTO users VALUES (3, NULL, 1, 'z'), (4, NULL, 1, 'w')",
    "twice": "INSERT INTO users VALUES (3, 'A', 1, 'x')",
    "no kind": "INSERT INTO users VALUES (3, 'c', 9, 'z')",
}
MOVED = """
    ALTER TABLE users RENAME COLUMN email TO mail;
    ALTER TABLE users RENAME TO people;
    ALTER TABLE people ADD COLUMN login text;
    UPDATE people SET login = lower(mail) WHERE kind < 5
"""


def run(shop: Shop, statement: str) -> None:
    with connect(shop.owner) as session:
        session.execute(statement.encode())


@pytest.mark.parametrize(
    ("revert", "what", "breaking"),
    [
        ("ALTER TABLE users ALTER email SET NOT NULL", "NOT NULL for users.email", {"no email": 2}),
        (
            'ALTER TABLE public.users ADD UNIQUE ("Nick name")',
            "UNIQUE (Nick name) of public.users",
            {"twice": 2},
        ),
        (
            "CREATE UNIQUE INDEX one ON users (lower(email)) WHERE kind = 1",
            "the unique index one of users",
            {"twice": 2},
        ),
        ("ALTER TABLE users ADD CHECK (kind < 5)", "a CHECK of users", {"no kind": 1}),
        (
            (
                "ALTER TABLE users ADD CONSTRAINT k CHECK (kind < 5) NOT VALID;"
                " ALTER TABLE users VALIDATE CONSTRAINT k"
            ),
            "a CHECK of users",
            {"no kind": 1},
        ),
        (
            "ALTER TABLE users ADD FOREIGN KEY (kind) REFERENCES kinds (id)",
            "a foreign key (kind) of users",
            {"no kind": 1},
        ),
        (
            f"{MOVED}; ALTER TABLE people ALTER login SET NOT NULL",
            "NOT NULL for people.login",
            {"no email": 2, "no kind": 1},
        ),
        (
            f"{MOVED}; ALTER TABLE people ADD UNIQUE (login)",
            "UNIQUE (login) of people",
            {"twice": 2},
        ),
        (
            (
                "ALTER TABLE users ADD COLUMN age int NOT NULL DEFAULT 3 CHECK (age > 0),"
                " ADD COLUMN token text UNIQUE, ADD COLUMN no bigserial UNIQUE"
            ),
            "",
            {},
        ),
        ("ALTER TABLE users ADD CONSTRAINT k CHECK (kind < 5) NOT VALID", "", {}),
    ],
)
def test_rows_are_counted_that_the_revert_would_break_on(
    shop: Shop, revert: str, what: str, breaking: dict[str, int]
) -> None:
    demands = tightening.of(statements.read(revert, Path("001_a.revert.sql")))
    assert [each.what for each in demands] == ([what] if what else [])

    for since, written in SINCE.items():
        run(shop, TABLES)
        run(shop, written)
        assert migrate.broken(shop.owner, demands) == [breaking.get(since, 0)][: len(demands)]
        if since in breaking:
            with pytest.raises(psycopg.errors.IntegrityError):
                run(shop, revert)
        else:
            run(shop, revert)


def test_what_cannot_be_asked_is_told(shop: Shop) -> None:
    run(shop, TABLES)
    revert = """
        ALTER TABLE users RENAME COLUMN email TO old;
        ALTER TABLE users RENAME COLUMN kind TO email;
        ALTER TABLE users ALTER email SET NOT NULL;
        ALTER TABLE users ADD EXCLUDE (id WITH =)
    """
    demands = tightening.of(statements.read(revert, Path("001_a.revert.sql")))

    assert migrate.broken(shop.owner, demands) == [
        'column reference "email" is ambiguous',
        "no query can be written",
    ]


def test_who_locks_the_rows_is_not_waited_for(shop: Shop) -> None:
    run(shop, TABLES)
    demands = tightening.of(
        statements.read("ALTER TABLE users ALTER email SET NOT NULL", Path("001_a.revert.sql"))
    )
    with connect(shop.owner) as holder, holder.transaction():
        holder.execute("LOCK TABLE users")

        assert migrate.broken(shop.owner, demands) == [None]
