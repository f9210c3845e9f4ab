"""What the ledger remembers of a rehearsal, and what an undone migration is when it runs again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from changeover.executors import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres
UNDO = migrate.Undo(
    subject="1.0.0/contract/001_a", digest="d1", lossless=True, because="", deployment="one"
)
MEASURED = migrate.Measured(
    migration="1.0.0/contract/001_a",
    number=1,
    digest="d1",
    milliseconds=2.5,
    held_milliseconds=4.0,
    locks=(
        migrate.Met(
            table="users",
            mode="ACCESS EXCLUSIVE",
            rows=3,
            size_bytes=8192,
            who_waits="readers and writers wait",
        ),
    ),
    rewritten=("users",),
    deployment="one",
)


def test_a_rehearsal_is_remembered_by_content_and_the_last_one_counts(shop: Shop) -> None:
    assert migrate.recall(shop.owner).undone == {}
    migrate.remember(shop.owner, [UNDO], [MEASURED], fence=3)

    known = migrate.recall(shop.owner)
    found = known.of(MEASURED.migration, 1, "d1")
    assert found is not None
    assert found.at is not None
    assert dataclasses.replace(found, at=None) == MEASURED
    assert known.of(MEASURED.migration, 1, "d2") is None
    assert known.undo(UNDO.subject, "d2") is None
    proved = known.undo(UNDO.subject, "d1")
    assert proved is not None
    assert (proved.lossless, proved.deployment) == (True, "one")

    lossy = dataclasses.replace(UNDO, lossless=False, because="other rows in users")
    migrate.remember(shop.owner, [lossy], [], fence=4)

    later = migrate.recall(shop.owner).undo(UNDO.subject, "d1")
    assert later is not None
    assert (later.lossless, later.because) == (False, "other rows in users")
    privileges = "SELECT has_table_privilege('public', 'changeover.undo', 'SELECT')"
    assert shop.value(privileges) is False


def test_what_undoing_took_stands_beside_what_applying_took(shop: Shop, release: Release) -> None:
    folder = release(
        {"contract/001_a.sql": "SELECT 1", "contract/001_a.revert.sql": "SELECT 2;\nSELECT 3"}
    )
    (migration,) = folder.migrations
    there = dataclasses.replace(MEASURED, digest=migration.statements[0].digest)
    back = dataclasses.replace(
        MEASURED, direction="revert", digest=migration.revert[0].digest, milliseconds=70.0
    )
    edited = dataclasses.replace(back, number=2)

    migrate.remember(shop.owner, [], [there, back, edited])

    known = migrate.recall(shop.owner)
    assert known.bounds(folder.migrations) == {
        (migration.id, "apply", 1): 2.5,
        (migration.id, "revert", 1): 70.0,
    }
    assert [each.milliseconds for each in known.exactly(folder.migrations).values()] == [2.5]


def test_a_ledger_from_before_undoing_was_measured_is_read_and_brought_up(shop: Shop) -> None:
    migrate.remember(shop.owner, [], [MEASURED])
    table = "ALTER TABLE changeover.measurement"
    shop.rows(f"{table} DROP COLUMN direction; {table} ADD PRIMARY KEY (migration_id, number)")

    assert set(migrate.recall(shop.owner).measured) == {(MEASURED.migration, "apply", 1)}

    migrate.remember(shop.owner, [], [dataclasses.replace(MEASURED, direction="revert")])
    assert set(migrate.recall(shop.owner).measured) == {
        (MEASURED.migration, "apply", 1),
        (MEASURED.migration, "revert", 1),
    }


def test_a_migration_that_was_undone_comes_last_when_it_runs_again(
    shop: Shop, release: Release
) -> None:
    old = release(
        {
            "expand/001_users.sql": "CREATE TABLE users (id int, name text)",
            "contract/001_name.sql": "ALTER TABLE users DROP COLUMN name",
            "contract/001_name.revert.sql": "ALTER TABLE users ADD COLUMN name text",
            "contract/002_id.sql": "ALTER TABLE users ALTER COLUMN id SET DEFAULT 1",
            "contract/002_id.revert.sql": "ALTER TABLE users ALTER COLUMN id DROP DEFAULT",
        }
    )
    name, number = "1.0.0/contract/001_name", "1.0.0/contract/002_id"
    migrate.apply(shop.owner, old)

    assert migrate.revert(shop.owner, old, only=[number]).done == (number,)
    assert migrate.revert(shop.owner, old, only=[name]).done == (name,)

    newer = release({"expand/001_log.sql": "CREATE TABLE log (id int)"}, version="2.0.0")
    migrate.apply(shop.owner, newer)
    migrate.apply(shop.owner, old)
    order = [found.id for found in migrate.standing(shop.owner)]
    assert order == ["1.0.0/expand/001_users", "2.0.0/expand/001_log", name, number]
    assert migrate.revert(shop.owner, old, phases=("contract",)).done == (number, name)
