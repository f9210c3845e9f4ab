"""A schema that somebody else made, and the releases whose migrations would have made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.own_server import connect

from changeover.executors import migrate
from changeover.executors.migrate.adoption import proof

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.own_server import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

FIRST = {
    "expand/001_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY, old text)",
    "expand/001_users.verify.sql": "SELECT to_regclass('users') IS NOT NULL",
}
SECOND = {
    "expand/001_name.sql": "ALTER TABLE users ADD COLUMN name text;\n"
    "CREATE INDEX CONCURRENTLY users_name ON users (name)",
    "expand/001_name.verify.sql": "SELECT to_regclass('users_name') IS NOT NULL",
    "backfill/001_name.sql": "-- changeover: batch table=users key=id\n"
    "UPDATE users SET name = 'none' WHERE name IS NULL AND id BETWEEN $1 AND $2",
    "backfill/001_name.verify.sql": "SELECT NOT EXISTS (SELECT FROM users WHERE name IS NULL)",
    "contract/001_old.sql": "ALTER TABLE users DROP COLUMN old",
    "contract/001_old.verify.sql": "SELECT NOT EXISTS (SELECT FROM pg_attribute"
    " WHERE attrelid = 'users'::regclass AND attname = 'old')",
}
SCHEMA = """
    CREATE TABLE users (id bigint PRIMARY KEY, old text, name text);
    CREATE INDEX users_name ON users (name);
    INSERT INTO users VALUES (1, 'x', 'Ann');
"""
EXPANDED = ("1.0.0/expand/001_users", "2.0.0/expand/001_name", "2.0.0/backfill/001_name")
CONTRACT = "2.0.0/contract/001_old"


@pytest.fixture
def lineage(release: Release) -> list[MigrationFolder]:
    return [release(FIRST, "1.0.0"), release(SECOND, "2.0.0")]


@pytest.fixture
def standing(shop: Shop) -> Shop:
    """Give a shop whose schema somebody else made, as its owner."""
    make(shop, SCHEMA)
    return shop


def make(shop: Shop, text: str) -> None:
    with connect(shop.owner) as connection:
        connection.execute(text.encode())


def untouched(shop: Shop) -> bool:
    return shop.value("SELECT to_regnamespace('changeover') IS NULL") is True


def refused(shop: Shop, folders: list[MigrationFolder], *trust: str) -> proof.BaselineUnproved:
    with pytest.raises(proof.BaselineUnproved) as caught:
        migrate.examine(shop.owner, folders, trust=trust)
    assert caught.value.exit_code == 6
    assert untouched(shop)
    return caught.value
